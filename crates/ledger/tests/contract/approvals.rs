//! Approvals: asked for once, decided by a person, spent exactly once.

use ledger::{
    ApprovalFilter, ApprovalGone, ApprovalState, ApprovalUse, AskApproval, Decision, Ending, GrantCheck, Ledger,
    Options, Reserved,
};
use policy::Timestamp;

use crate::support::{House, Limit, NOON, after, ended, intent, passes, records};

crate::for_every_backend!(
    asking_again_for_the_same_call_gives_the_same_approval,
    another_call_needs_another_approval,
    an_approval_is_spent_exactly_once,
    what_was_not_sent_gives_the_approval_back_once,
    an_approval_that_is_not_given_cannot_be_spent,
    an_approval_is_not_spent_by_a_call_that_a_limit_refuses,
    approvals_survive_closing,
    a_decision_wakes_those_who_wait,
    an_approval_that_lapses_wakes_those_who_wait,
    a_grant_may_only_have_so_many_pending,
    approvals_are_listed_newest_first,
);

const FINGERPRINT: [u8; 32] = [9; 32];

fn question(fingerprint: [u8; 32]) -> AskApproval<'static> {
    AskApproval {
        grant: "gr_1",
        server: "shop",
        tool: "refund",
        policy: "safe",
        policy_version: "0123456789abcdef",
        rule: "/tools/refund",
        fingerprint,
        summary: "refund order 7",
        expires_at: after(3600),
    }
}

async fn spend(ledger: &Ledger, id: &str, at: Timestamp) -> Reserved {
    let approval = ApprovalUse { id, fingerprint: &FINGERPRINT };
    ledger.reserve(intent(at), &[], GrantCheck::Implicit, Some(approval)).await.unwrap()
}

fn why(reserved: &Reserved) -> Option<ApprovalGone> {
    if let Reserved::ApprovalGone { why, .. } = reserved { Some(*why) } else { None }
}

async fn asking_again_for_the_same_call_gives_the_same_approval(house: House) {
    let ledger = house.open();
    let first = ledger.ask(question(FINGERPRINT), NOON).await.unwrap();
    assert!(first.id.starts_with("apr_") && first.state == ApprovalState::Pending);
    assert_eq!(ledger.ask(question(FINGERPRINT), after(5)).await.unwrap(), first);
    let given = ledger.decide(&first.id, Decision::Approve, "bob", Some("fine"), after(6)).await.unwrap();
    assert_eq!(ledger.ask(question(FINGERPRINT), after(7)).await.unwrap(), given);
    assert_eq!((given.decided_by.as_deref(), given.decided_at), (Some("bob"), Some(after(6))));
    let lapsed =
        ledger.ask(AskApproval { expires_at: after(9000), ..question(FINGERPRINT) }, after(3600)).await.unwrap();
    assert_ne!(lapsed.id, first.id, "the first one has lapsed");
}

async fn another_call_needs_another_approval(house: House) {
    let ledger = house.open();
    let first = ledger.ask(question(FINGERPRINT), NOON).await.unwrap();
    let others = [
        question([8; 32]),
        AskApproval { grant: "gr_2", ..question(FINGERPRINT) },
        AskApproval { server: "other", ..question(FINGERPRINT) },
        AskApproval { policy_version: "fedcba9876543210", ..question(FINGERPRINT) },
        AskApproval { rule: "/tools/*", ..question(FINGERPRINT) },
    ];
    for other in others {
        assert_ne!(ledger.ask(other, NOON).await.unwrap().id, first.id);
    }
}

async fn an_approval_is_spent_exactly_once(house: House) {
    let ledger = house.open();
    let approval = ledger.ask(question(FINGERPRINT), NOON).await.unwrap();
    ledger.decide(&approval.id, Decision::Approve, "bob", None, NOON).await.unwrap();
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let (ledger, id) = (ledger.clone(), approval.id.clone());
            tokio::spawn(async move { matches!(spend(&ledger, &id, after(1)).await, Reserved::Open(_)) })
        })
        .collect();
    let mut passed = 0;
    for task in tasks {
        passed += usize::from(task.await.unwrap());
    }
    assert_eq!(passed, 1);
    let spent = ledger.approval(&approval.id, after(2)).await.unwrap();
    assert_eq!(spent.state, ApprovalState::Spent);
    let entry = ledger.entry(spent.spent_by.unwrap()).await.unwrap().unwrap();
    assert_eq!(entry.approval.as_deref(), Some(approval.id.as_str()));
    assert_ne!(ledger.ask(question(FINGERPRINT), after(2)).await.unwrap().id, approval.id);
}

async fn what_was_not_sent_gives_the_approval_back_once(house: House) {
    let ledger = house.open();
    let approval = ledger.ask(question(FINGERPRINT), NOON).await.unwrap();
    ledger.decide(&approval.id, Decision::Approve, "bob", None, NOON).await.unwrap();
    let Reserved::Open(ticket) = spend(&ledger, &approval.id, after(1)).await else { panic!("not open") };
    ledger.settle(ticket, ended(after(2), Ending::NotSent)).await;
    assert_eq!(ledger.approval(&approval.id, after(2)).await.unwrap().state, ApprovalState::Approved);
    let Reserved::Open(ticket) = spend(&ledger, &approval.id, after(3)).await else { panic!("not open again") };
    ledger.settle(ticket, ended(after(4), Ending::Failed)).await;
    assert_eq!(why(&spend(&ledger, &approval.id, after(5)).await), Some(ApprovalGone::Spent));
    assert_eq!(records(&ledger).await, 5);
}

async fn an_approval_that_is_not_given_cannot_be_spent(house: House) {
    let ledger = house.open();
    assert_eq!(why(&spend(&ledger, "apr_none", NOON).await), Some(ApprovalGone::Unknown));
    let approval = ledger.ask(question(FINGERPRINT), NOON).await.unwrap();
    assert_eq!(why(&spend(&ledger, &approval.id, NOON).await), Some(ApprovalGone::Pending));
    let other = ledger.ask(question([8; 32]), NOON).await.unwrap();
    assert_eq!(why(&spend(&ledger, &other.id, NOON).await), Some(ApprovalGone::OtherCall));
    ledger.decide(&approval.id, Decision::Deny, "bob", None, NOON).await.unwrap();
    assert_eq!(why(&spend(&ledger, &approval.id, NOON).await), Some(ApprovalGone::Denied));
    let again = ledger.decide(&approval.id, Decision::Approve, "bob", None, NOON).await.unwrap_err();
    assert!(again.to_string().contains("has already been denied"), "{again}");
    assert_eq!(ledger.ask(question(FINGERPRINT), after(1)).await.unwrap().state, ApprovalState::Denied);
    let given = ledger.ask(AskApproval { rule: "/tools/*", ..question(FINGERPRINT) }, NOON).await.unwrap();
    ledger.decide(&given.id, Decision::Approve, "bob", None, NOON).await.unwrap();
    assert_eq!(why(&spend(&ledger, &given.id, after(3600)).await), Some(ApprovalGone::Expired));
}

async fn an_approval_is_not_spent_by_a_call_that_a_limit_refuses(house: House) {
    let ledger = house.open();
    let approval = ledger.ask(question(FINGERPRINT), NOON).await.unwrap();
    ledger.decide(&approval.id, Decision::Approve, "bob", None, NOON).await.unwrap();
    let limit = Limit::per_minute(1);
    assert!(passes(&ledger, NOON, std::slice::from_ref(&limit)).await);
    let use_it = ApprovalUse { id: &approval.id, fingerprint: &FINGERPRINT };
    let refused = ledger.reserve(intent(NOON), &[limit.charge()], GrantCheck::Implicit, Some(use_it)).await.unwrap();
    assert!(matches!(refused, Reserved::Limited { .. }));
    assert!(matches!(spend(&ledger, &approval.id, after(1)).await, Reserved::Open(_)));
}

async fn approvals_survive_closing(house: House) {
    let ledger = house.open();
    let approval = ledger.ask(question(FINGERPRINT), NOON).await.unwrap();
    ledger.close().await.unwrap();
    let ledger = house.open();
    ledger.decide(&approval.id, Decision::Approve, "bob", None, NOON).await.unwrap();
    ledger.close().await.unwrap();
    let ledger = house.open();
    assert!(matches!(spend(&ledger, &approval.id, after(1)).await, Reserved::Open(_)));
    ledger.close().await.unwrap();
    let ledger = house.open();
    assert_eq!(why(&spend(&ledger, &approval.id, after(1)).await), Some(ApprovalGone::Spent));
}

async fn a_decision_wakes_those_who_wait(house: House) {
    let ledger = house.open();
    let approval = ledger.ask(question(FINGERPRINT), NOON).await.unwrap();
    let (waiting, id) = (ledger.clone(), approval.id.clone());
    let waiter = tokio::spawn(async move { waiting.decided(&id, || NOON).await.unwrap() });
    tokio::task::yield_now().await;
    ledger.decide(&approval.id, Decision::Deny, "bob", None, NOON).await.unwrap();
    assert_eq!(waiter.await.unwrap().state, ApprovalState::Denied);
}

async fn an_approval_that_lapses_wakes_those_who_wait(house: House) {
    let ledger = house.open();
    let approval = ledger.ask(AskApproval { expires_at: after(1), ..question(FINGERPRINT) }, NOON).await.unwrap();
    let waited = ledger.decided(&approval.id, || after(1)).await.unwrap();
    assert_eq!(waited.state, ApprovalState::Expired);
}

async fn a_grant_may_only_have_so_many_pending(house: House) {
    let options = Options { pending_approvals_per_grant: 2, ..Options::default() };
    let ledger = house.backend.open_with(&house.path(), options).unwrap();
    for number in 0..2 {
        ledger.ask(question([number; 32]), NOON).await.unwrap();
    }
    let refused = ledger.ask(question([3; 32]), NOON).await.unwrap_err();
    assert_eq!(refused.to_string(), "grant `gr_1` has 2 approvals waiting for a decision: decide some of them first");
    ledger.ask(AskApproval { grant: "gr_2", ..question([3; 32]) }, NOON).await.unwrap();
    let later = AskApproval { expires_at: after(9000), ..question([3; 32]) };
    ledger.ask(later, after(3600)).await.unwrap();
}

async fn approvals_are_listed_newest_first(house: House) {
    let ledger = house.open();
    let first = ledger.ask(question([1; 32]), NOON).await.unwrap();
    let second = ledger.ask(question([2; 32]), after(1)).await.unwrap();
    ledger.decide(&first.id, Decision::Approve, "bob", None, after(2)).await.unwrap();
    let all = ledger.approvals(&ApprovalFilter::default(), 10, after(3)).await.unwrap();
    assert_eq!(all.iter().map(|approval| &approval.id).collect::<Vec<_>>(), [&second.id, &first.id]);
    let pending = ApprovalFilter { pending_only: true, ..ApprovalFilter::default() };
    assert_eq!(ledger.approvals(&pending, 10, after(3)).await.unwrap(), [second]);
    assert!(ledger.approvals(&pending, 10, after(3600)).await.unwrap().is_empty());
    let of_another = ApprovalFilter { grant: Some("gr_2".to_owned()), ..ApprovalFilter::default() };
    assert!(ledger.approvals(&of_another, 10, NOON).await.unwrap().is_empty());
}
