//! Settings in one canonical form, so that the same settings have one digest.
//!
//! INVARIANT (a decision replays): the order of keys in a configuration file changes neither the
//! digest nor what the plugin is given.

use serde_json::Value;

/// JSON without blanks, and with the keys of every object sorted by their bytes.
pub(crate) fn canonical(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            out.push_str(&value.to_string())
        }
        Value::Array(items) => {
            out.push('[');
            for (position, item) in items.iter().enumerate() {
                separate(position, out);
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(key, _)| key.as_str());
            out.push('{');
            for (position, (key, member)) in members.into_iter().enumerate() {
                separate(position, out);
                write(&Value::String(key.clone()), out);
                out.push(':');
                write(member, out);
            }
            out.push('}');
        }
    }
}

fn separate(position: usize, out: &mut String) {
    if position > 0 {
        out.push(',');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_order_of_keys_does_not_matter() {
        let one: Value = serde_json::from_str(r#"{"b": [1, {"y": null, "x": "\n"}], "a": 1.5}"#).unwrap();
        let two: Value = serde_json::from_str(r#"{"a": 1.5, "b": [1, {"x": "\n", "y": null}]}"#).unwrap();
        assert_eq!(canonical(&one), r#"{"a":1.5,"b":[1,{"x":"\n","y":null}]}"#);
        assert_eq!(canonical(&one), canonical(&two));
        assert_ne!(canonical(&json!([1, 2])), canonical(&json!([2, 1])));
    }

    proptest! {
        #[test]
        fn canonical_text_means_the_same_value(keys in prop::collection::vec(".{0,6}", 0..8), numbers in prop::collection::vec(any::<i64>(), 8)) {
            let object: serde_json::Map<_, _> = keys.into_iter().zip(numbers.into_iter().map(Value::from)).collect();
            let value = Value::from(object);
            let read: Value = serde_json::from_str(&canonical(&value)).unwrap();
            prop_assert_eq!(read, value);
        }
    }
}
