//! Decimals against big integers, and one spelling for each value.

use num_bigint::BigInt;
use policy::{Decimal, canonical_json};
use proptest::prelude::*;

use crate::config;

/// A number as JSON may write it: sign, digits, places, exponent.
fn number() -> impl Strategy<Value = String> {
    let whole = prop_oneof![Just("0".to_owned()), "[1-9][0-9]{0,20}"];
    let fraction = prop_oneof![Just(String::new()), "\\.[0-9]{1,14}"];
    let exponent = prop_oneof![3 => Just(String::new()), 1 => "[eE][+-]?[0-9]{1,2}"];
    (any::<bool>(), whole, fraction, exponent).prop_map(|(negative, whole, fraction, exponent)| {
        format!("{}{whole}{fraction}{exponent}", if negative { "-" } else { "" })
    })
}

/// The number times ten to the 200th power, as an integer.
fn scaled(text: &str) -> BigInt {
    let (number, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits: BigInt = format!("{whole}{fraction}").parse().expect("digits");
    let exponent: i32 = exponent.parse().expect("an exponent");
    let power = 200 + exponent - i32::try_from(fraction.len()).expect("few");
    digits * BigInt::from(10).pow(u32::try_from(power).expect("positive"))
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn decimals_compare_as_big_integers(left in number(), right in number()) {
        if let (Ok(one), Ok(two)) = (Decimal::parse(&left), Decimal::parse(&right)) {
            prop_assert_eq!(one.cmp(&two), scaled(&left).cmp(&scaled(&right)));
            prop_assert_eq!(one == two, scaled(&left) == scaled(&right));
        }
    }

    #[test]
    fn a_decimal_reads_what_it_writes(text in number()) {
        if let Ok(number) = Decimal::parse(&text) {
            let written = number.to_string();
            prop_assert_eq!(scaled(&written), scaled(&text));
            prop_assert_eq!(Decimal::parse(&written), Ok(number));
        }
    }

    #[test]
    fn equal_numbers_have_one_canonical_form(left in number(), right in number()) {
        let forms = (canonical_json(&left), canonical_json(&right));
        if Decimal::parse(&left).is_ok() && Decimal::parse(&right).is_ok() {
            prop_assert_eq!(forms.0 == forms.1, scaled(&left) == scaled(&right));
        }
    }

    #[test]
    fn the_order_of_keys_does_not_matter(fields in proptest::collection::btree_map("[a-c\"\\\\é\u{1}]{0,3}", number(), 0..6)) {
        let written = |fields: Vec<(&String, &String)>| {
            let fields: Vec<String> = fields.iter().map(|(key, value)| format!(" {} : {value} ", quoted(key))).collect();
            format!("{{{}}}", fields.join(","))
        };
        let forwards = canonical_json(&written(fields.iter().collect())).expect("valid");
        let backwards = canonical_json(&written(fields.iter().rev().collect())).expect("valid");
        prop_assert_eq!(&forwards, &backwards);
        if !forwards.contains('#') {
            prop_assert_eq!(canonical_json(&forwards), Ok(forwards.clone()));
        }
    }
}

/// A string as JSON may write it, every character escaped.
fn quoted(text: &str) -> String {
    let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
    format!("\"{escaped}\"")
}
