//! JSON bodies: read field by field, so that an error names the field and unknown fields cost nothing.
//!
//! Values stay raw text until they are asked for; nesting is skipped without recursion, so deep JSON is only bytes.

use std::{borrow::Cow, fmt};

use florin_engine::money::Minor;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{
    amount,
    problem::{Fault, Problem},
};

/// The fields of a JSON object, each with its raw text.
#[derive(Debug)]
pub struct Fields<'a> {
    prefix: Cow<'static, str>,
    entries: Vec<(Cow<'a, str>, &'a RawValue)>,
}

struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field name")
            }
            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }
            fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut entries = Vec::with_capacity(4);
                while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    entries.push((name, value));
                }
                Ok(Fields { prefix: Cow::Borrowed(""), entries })
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl<'a> Fields<'a> {
    /// Reads a body; anything but one JSON object is [`Problem::Malformed`].
    pub fn parse(body: &'a [u8]) -> Result<Self, Problem> {
        let text = std::str::from_utf8(body).map_err(|_| Problem::Malformed("the body is not UTF-8".into()))?;
        if text.trim_start().is_empty() {
            return Err(Problem::Malformed("the body is empty".into()));
        }
        serde_json::from_str(text).map_err(|error| {
            Problem::Malformed(match error.classify() {
                serde_json::error::Category::Data => "the body must be a JSON object".into(),
                _ => format!("the body is not JSON: line {}, column {}", error.line(), error.column()).into(),
            })
        })
    }

    fn name(&self, field: &'static str) -> Cow<'static, str> {
        if self.prefix.is_empty() { Cow::Borrowed(field) } else { Cow::Owned(format!("{}.{field}", self.prefix)) }
    }

    /// A problem with a field of this object, named with its path.
    pub fn fault(&self, field: &'static str, fault: Fault) -> Problem {
        Problem::field(self.name(field), fault)
    }

    /// The raw text of a field; `None` when it is not there, `null` as text when it is null.
    pub fn raw(&self, field: &'static str) -> Result<Option<&'a str>, Problem> {
        let mut found = self.entries.iter().filter(|(name, _)| name == field);
        let first = found.next();
        if found.next().is_some() {
            return Err(self.fault(field, Fault::Duplicate));
        }
        Ok(first.map(|(_, value)| value.get()))
    }

    /// The raw text of a field that is there and not null.
    pub fn given(&self, field: &'static str) -> Result<Option<&'a str>, Problem> {
        Ok(self.raw(field)?.filter(|text| *text != "null"))
    }

    fn optional<T: Deserialize<'a>>(&self, field: &'static str, expected: &'static str) -> Result<Option<T>, Problem> {
        self.given(field)?
            .map(serde_json::from_str)
            .transpose()
            .map_err(|_| self.fault(field, Fault::WrongType(expected)))
    }

    fn required<T>(&self, field: &'static str, value: Option<T>) -> Result<T, Problem> {
        value.ok_or_else(|| self.fault(field, Fault::Missing))
    }

    /// A text, if it is there.
    pub fn text_if(&self, field: &'static str) -> Result<Option<Cow<'a, str>>, Problem> {
        Ok(self.optional::<Name<'a>>(field, "a string")?.map(|Name(text)| text))
    }

    /// A text.
    pub fn text(&self, field: &'static str) -> Result<Cow<'a, str>, Problem> {
        let text = self.text_if(field)?;
        self.required(field, text)
    }

    /// A text of `min..=max` characters without control characters.
    pub fn line(&self, field: &'static str, min: usize, max: usize) -> Result<Cow<'a, str>, Problem> {
        let text = self.text(field)?;
        check_line(&text, min, max).map_err(|fault| self.fault(field, fault)).map(|()| text)
    }

    /// An amount of an asset of `decimals` decimals, if it is there.
    pub fn amount_if(&self, field: &'static str, decimals: u8) -> Result<Option<Minor>, Problem> {
        self.given(field)?
            .map(|raw| amount::parse(raw, decimals))
            .transpose()
            .map_err(|error| self.fault(field, Fault::Amount(error)))
    }

    /// An amount of an asset of `decimals` decimals.
    pub fn amount(&self, field: &'static str, decimals: u8) -> Result<Minor, Problem> {
        let amount = self.amount_if(field, decimals)?;
        self.required(field, amount)
    }

    /// True or false, if it is there.
    pub fn flag_if(&self, field: &'static str) -> Result<Option<bool>, Problem> {
        self.optional(field, "true or false")
    }

    /// True or false.
    pub fn flag(&self, field: &'static str) -> Result<bool, Problem> {
        let flag = self.flag_if(field)?;
        self.required(field, flag)
    }

    /// A whole number within bounds, if it is there.
    pub fn whole_if(&self, field: &'static str, minimum: i64, maximum: i64) -> Result<Option<i64>, Problem> {
        let fault = || self.fault(field, Fault::OutOfRange { minimum, maximum });
        match self.given(field)? {
            None => Ok(None),
            Some(raw) => match raw.parse::<i64>() {
                Ok(value) if (minimum..=maximum).contains(&value) => Ok(Some(value)),
                _ => Err(fault()),
            },
        }
    }

    /// A whole number within bounds.
    pub fn whole(&self, field: &'static str, minimum: i64, maximum: i64) -> Result<i64, Problem> {
        let value = self.whole_if(field, minimum, maximum)?;
        self.required(field, value)
    }

    /// An object, if it is there; errors in it are named `field.inner`.
    pub fn object_if(&self, field: &'static str) -> Result<Option<Self>, Problem> {
        Ok(self.optional::<Self>(field, "an object")?.map(|mut inner| {
            inner.prefix = self.name(field);
            inner
        }))
    }

    /// An object.
    pub fn object(&self, field: &'static str) -> Result<Self, Problem> {
        let object = self.object_if(field)?;
        self.required(field, object)
    }

    /// A list of objects; errors in the nth (from 0) are named `field[n].inner`.
    pub fn objects(&self, field: &'static str) -> Result<Vec<Self>, Problem> {
        let list = self.optional::<Vec<Self>>(field, "a list of objects")?;
        let mut list = self.required(field, list)?;
        for (n, inner) in list.iter_mut().enumerate() {
            inner.prefix = format!("{}[{n}]", self.name(field)).into();
        }
        Ok(list)
    }
}

/// Whether a text has `min..=max` characters and no control characters.
pub fn check_line(text: &str, min: usize, max: usize) -> Result<(), Fault> {
    // Counting stops at the bound, so that a long text costs no more than a short one.
    let characters = text.chars().take(max + 1).count();
    if characters > max {
        return Err(Fault::TooLong(max));
    }
    if characters < min {
        return Err(Fault::TooShort(min));
    }
    if text.chars().any(char::is_control) {
        return Err(Fault::ControlCharacters);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(body: &str) -> Fields<'_> {
        Fields::parse(body.as_bytes()).unwrap()
    }

    #[test]
    fn fields_are_read_by_name_and_unknown_ones_ignored() {
        let body = fields(r#"{"x":[[[{}]]],"cardName":"Tra\u0076el","amount":10.05,"ok":true,"n":7}"#);
        assert_eq!(body.line("cardName", 1, 50).unwrap(), "Travel");
        assert_eq!(body.amount("amount", 2).unwrap(), Minor(1_005));
        assert!(body.flag("ok").unwrap());
        assert_eq!(body.whole("n", 1, 9).unwrap(), 7);
        assert_eq!(body.text_if("none").unwrap(), None);
    }

    #[test]
    fn an_error_names_the_field() {
        let body = fields(r#"{"a":1,"b":null,"c":"x","c":"y","d":{"e":""},"f":"\ud800","g":"a\u0000"}"#);
        for (problem, field, fault) in [
            (body.text("a").unwrap_err(), "a", Fault::WrongType("a string")),
            (body.text("b").unwrap_err(), "b", Fault::Missing),
            (body.text("c").unwrap_err(), "c", Fault::Duplicate),
            (body.object("d").unwrap().line("e", 1, 5).unwrap_err(), "d.e", Fault::TooShort(1)),
            (body.text("f").unwrap_err(), "f", Fault::WrongType("a string")),
            (body.line("g", 1, 5).unwrap_err(), "g", Fault::ControlCharacters),
            (body.object("a").unwrap_err(), "a", Fault::WrongType("an object")),
            (body.whole("a", 2, 9).unwrap_err(), "a", Fault::OutOfRange { minimum: 2, maximum: 9 }),
        ] {
            assert_eq!(problem, Problem::field(field, fault));
        }
    }

    #[test]
    fn what_is_no_object_is_malformed() {
        let deep = format!("{{\"a\":{}", "[".repeat(30_000));
        for body in ["", " ", "[]", "1", "\"a\"", "null", "{", "{\"a\":NaN}", "{}{}", &deep] {
            assert!(matches!(Fields::parse(body.as_bytes()), Err(Problem::Malformed(_))), "{body:.20}");
        }
        assert!(matches!(Fields::parse(b"{\"a\":\"\xff\"}"), Err(Problem::Malformed(_))));
    }

    #[test]
    fn deep_json_in_an_unknown_field_is_only_bytes() {
        let body = format!("{{\"x\":{}{},\"n\":1}}", "[".repeat(30_000), "]".repeat(30_000));
        assert_eq!(fields(&body).whole("n", 0, 9).unwrap(), 1);
    }
}
