//! Hostile JSON from sound JSON: the tree is changed as a tree, and written as text that no JSON library would write.

use std::fmt::Write;

use serde_json::Value;

use super::Rng;

/// A tree whose keys and leaves are texts as written, sound or not.
#[derive(Clone, Debug)]
enum Node {
    Leaf(String),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

/// Values in the place of others: wrong types, numbers out of all bounds, texts that hide or end others.
const HOSTILE: [&str; 62] = [
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "0",
    "-0",
    "-1",
    "0.001",
    "100.005",
    "0.0000000000000000000000000001",
    "-25.00",
    "25.10",
    "1e2",
    "1E+2",
    "1e400",
    "-1e400",
    "1e-400",
    "1e99999999999999999999",
    "99999999999.99",
    "92233720368547758.07",
    "92233720368547758.08",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "340282366920938463463374607431768211456",
    "4294967296",
    "65536",
    "256",
    "\"1e3\"",
    "\" 5\"",
    "\"+5\"",
    "\"5,00\"",
    "\"0x10\"",
    "\"NaN\"",
    "\"-0.00\"",
    "\"100.00\"",
    "NaN",
    "Infinity",
    "01",
    ".5",
    "5.",
    "\"\\u0000\"",
    "\"a\\u0000b\"",
    "\"\\ud800\"",
    "\"\\udc00\\ud800\"",
    "\"\\u202Ediova\"",
    "\"a\\u200bb\"",
    "\"\\r\\nX-Injected: yes\"",
    "\"💳é\u{FB01}\u{301}\"",
    "\"../../../etc/passwd\"",
    "\"' OR 1=1 --\"",
    "\"<script>alert(1)</script>\"",
    "\"00000000-0000-0000-0000-000000000000\"",
    "\"ffffffff-ffff-ffff-ffff-ffffffffffff\"",
    "\"0x0000000000000000000000000000000000000000\"",
    "\"9999-99-99T99:99:99Z\"",
    "\"0001-01-01T00:00:00Z\"",
    "\"2026-02-30T25:61:61.999999999999+99:99\"",
    "\"\\",
];

/// A value of its own kind of wrongness: a hostile one, a long text, a deep nest, many of one.
fn hostile(rng: &mut Rng) -> Node {
    Node::Leaf(match rng.below(24) {
        0 => format!("\"{}\"", "a".repeat(*rng.pick(&[33, 256, 1_025, 70_000]))),
        1 => format!("\"{}\"", "\\u202e".repeat(300)),
        2 => "9".repeat(*rng.pick(&[20, 400, 5_000])),
        3 => format!("0.{}1", "0".repeat(*rng.pick(&[30, 400]))),
        4 => {
            let deep = *rng.pick(&[64, 127, 128, 5_000]);
            format!("{}{}", "[".repeat(deep), "]".repeat(deep))
        }
        5 => {
            let deep = *rng.pick(&[127, 5_000]);
            format!("{}1{}", "{\"a\":".repeat(deep), "}".repeat(deep))
        }
        6 => format!("[{}0]", "0,".repeat(2_000)),
        _ => (*rng.pick(&HOSTILE)).to_owned(),
    })
}

impl Node {
    fn of(value: &Value) -> Self {
        match value {
            Value::Array(items) => Self::Array(items.iter().map(Self::of).collect()),
            Value::Object(fields) => Self::Object(
                fields.iter().map(|(key, value)| (Value::from(&**key).to_string(), Self::of(value))).collect(),
            ),
            leaf => Self::Leaf(leaf.to_string()),
        }
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Leaf(text) => out.push_str(text),
            Self::Array(items) => {
                out.push('[');
                for (n, item) in items.iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(fields) => {
                out.push('{');
                for (n, (key, value)) in fields.iter().enumerate() {
                    let _ = write!(out, "{}{key}:", if n > 0 { "," } else { "" });
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    /// How many nodes there are, this one included.
    fn count(&self) -> usize {
        1 + match self {
            Self::Leaf(_) => 0,
            Self::Array(items) => items.iter().map(Self::count).sum(),
            Self::Object(fields) => fields.iter().map(|(_, value)| value.count()).sum(),
        }
    }

    /// Node `n` in the order of writing.
    fn nth(&mut self, n: usize) -> Option<&mut Self> {
        if n == 0 {
            return Some(self);
        }
        let mut left = n - 1;
        let inner: Box<dyn Iterator<Item = &mut Self>> = match self {
            Self::Leaf(_) => return None,
            Self::Array(items) => Box::new(items.iter_mut()),
            Self::Object(fields) => Box::new(fields.iter_mut().map(|(_, value)| value)),
        };
        for node in inner {
            let count = node.count();
            if left < count {
                return node.nth(left);
            }
            left -= count;
        }
        None
    }

    fn change(&mut self, rng: &mut Rng) {
        match self {
            Self::Object(fields) if !fields.is_empty() => {
                let at = rng.below(fields.len());
                match rng.below(8) {
                    0 => {
                        fields.remove(at);
                    }
                    // A key twice: the same value, or another.
                    1 => {
                        let (key, value) = fields[at].clone();
                        fields.push((key, if rng.once_in(2) { value } else { hostile(rng) }));
                    }
                    2 => {
                        let key = *rng.pick(&[
                            "\"extra\"",
                            "\"\"",
                            "\"__proto__\"",
                            "\"\\u0000\"",
                            "\"\\ud800\"",
                            "extra",
                            "1",
                        ]);
                        fields.push((key.to_owned(), hostile(rng)));
                    }
                    3 => fields[at].0 = fields[at].0.to_uppercase(),
                    4 => *self = Self::Array(vec![self.clone()]),
                    5 => *self = Self::Array(std::mem::take(fields).into_iter().map(|(_, value)| value).collect()),
                    6 => *self = hostile(rng),
                    _ => fields[at].1 = hostile(rng),
                }
            }
            Self::Array(items) if !items.is_empty() => {
                let at = rng.below(items.len());
                match rng.below(4) {
                    0 => {
                        items.remove(at);
                    }
                    1 => items.push(items[at].clone()),
                    2 => *self = hostile(rng),
                    _ => items[at] = hostile(rng),
                }
            }
            // A number as a text, and a text as a number.
            Self::Leaf(text) if rng.once_in(6) => {
                *text = match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
                    Some(inner) => inner.to_owned(),
                    None => format!("\"{text}\""),
                };
            }
            // Another number with the same digits; still a number most of the time.
            Self::Leaf(text) if rng.once_in(4) => {
                let at = rng.below(text.len() + 1);
                if text.is_char_boundary(at) {
                    text.insert(at, *rng.pick(&['0', '9', '-', '.', 'e', ' ', '"', '\\', '\u{7f}']));
                }
            }
            other => *other = hostile(rng),
        }
    }
}

/// The value with one to three changes, as text.
pub fn mutate(rng: &mut Rng, value: &Value) -> String {
    let mut tree = Node::of(value);
    for _ in 0..=rng.below(3).min(rng.below(3)) {
        let at = rng.below(tree.count());
        if let Some(node) = tree.nth(at) {
            node.change(rng);
        }
    }
    let mut text = String::new();
    tree.write(&mut text);
    text
}

/// The text of a hostile value, for places that are not JSON: parameters and headers.
pub fn word(rng: &mut Rng) -> String {
    let Node::Leaf(text) = hostile(rng) else { return String::new() };
    text.trim_matches('"').to_owned()
}
