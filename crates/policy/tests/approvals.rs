//! What may follow what in the life of an approval.

use policy::Timestamp;
use policy::approvals::{Event, State};

const STATES: [State; 5] = [State::Pending, State::Approved, State::Spent, State::Denied, State::Expired];
const EVENTS: [Event; 4] = [Event::Approve, Event::Deny, Event::Spend, Event::GiveBack];
const EARLY: Timestamp = Timestamp::from_millis(1);
const END: Timestamp = Timestamp::from_millis(2);

#[test]
fn only_these_steps_are_possible() {
    let possible = [
        (State::Pending, Event::Approve, State::Approved),
        (State::Pending, Event::Deny, State::Denied),
        (State::Approved, Event::Deny, State::Denied),
        (State::Approved, Event::Spend, State::Spent),
        (State::Spent, Event::GiveBack, State::Approved),
    ];
    for state in STATES {
        for event in EVENTS {
            let expected = possible.iter().find(|(from, by, _)| (*from, *by) == (state, event)).map(|(_, _, to)| *to);
            assert_eq!(state.after(event, EARLY, END).ok(), expected, "{event:?} in {state:?}");
        }
    }
}

#[test]
fn an_approval_passes_exactly_once() {
    let approved = State::Pending.after(Event::Approve, EARLY, END);
    let spent = approved.and_then(|state| state.after(Event::Spend, EARLY, END));
    assert_eq!(spent, Ok(State::Spent));
    assert!(spent.and_then(|state| state.after(Event::Spend, EARLY, END)).is_err());
}

#[test]
fn nothing_can_be_done_once_the_time_is_over() {
    for state in [State::Pending, State::Approved] {
        assert_eq!(state.at(END, END), State::Expired);
        for event in EVENTS {
            let refused = state.after(event, END, END).expect_err("it has expired");
            assert_eq!(refused.state, State::Expired);
        }
    }
    assert_eq!(State::Spent.after(Event::GiveBack, END, END), Ok(State::Expired));
    assert_eq!(State::Denied.at(END, END), State::Denied);
}

#[test]
fn states_are_written_and_read() {
    for state in STATES {
        assert_eq!(State::parse(state.as_str()), Some(state));
    }
    assert_eq!(State::parse("maybe"), None);
}
