//! Stored codes: enums are written as the number each variant was given, never as its place in the source.

/// Writes and reads an enum by explicit `u8` codes.
#[macro_export]
#[doc(hidden)]
macro_rules! codes {
    ($name:ident: $($code:literal $variant:ident),* $(,)?) => {
        impl $name {
            /// All there are, by code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stored code.
            pub const fn code(self) -> u8 {
                match self { $(Self::$variant => $code,)* }
            }

            /// What a stored code stands for.
            pub const fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)* _ => None }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    return serializer.serialize_str(&$crate::human::snake(match self { $(Self::$variant => stringify!($variant),)* }));
                }
                serializer.serialize_u8(self.code())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let expected = concat!("one of", $(" ", stringify!($variant),)* ", in snake_case");
                    return $crate::human::text(deserializer, expected, |text| {
                        $(if $crate::human::snake(stringify!($variant)) == text { return Some(Self::$variant); })*
                        None
                    });
                }
                let code = <u8 as serde::Deserialize>::deserialize(deserializer)?;
                Self::from_code(code).ok_or_else(|| serde::de::Error::custom(concat!("unknown code of ", stringify!($name))))
            }
        }
    };
}

/// Declares the kinds of something that is stored: an enum of bodies, each with a code for ever, and how a body is written
/// and read. Bodies that are large and rare are `in Box`: every place that holds any kind is as large as the largest.
#[macro_export]
#[doc(hidden)]
macro_rules! registry {
    (@body $name:ident) => { $name };
    (@body $name:ident Box) => { alloc::boxed::Box<$name> };
    ($(#[$what:meta])* $kind:ident, $unknown:ident: $($(#[$doc:meta])* $code:literal $name:ident $(in $boxed:tt)?;)*) => {
        $(#[$what])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum $kind { $($(#[$doc])* $name($crate::registry!(@body $name $($boxed)?)),)* }

        impl $kind {
            /// The stored code.
            pub const fn code(&self) -> u16 {
                match self { $(Self::$name(_) => $code,)* }
            }

            /// Whether a stored code and version are known here.
            pub const fn knows(code: u16, version: u8) -> bool {
                version == 1 && matches!(code, $($code)|*)
            }

            /// The name, for people.
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name),)* }
            }

            /// Writes the body in a form for people, see `human.rs`; never the stored form.
            pub fn serialize_body<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self { $(Self::$name(body) => serde::Serialize::serialize(body, serializer),)* }
            }

            /// Reads a body by its kind's name in `snake_case`; `None`: there is no such kind.
            pub fn deserialize_body<'de, D: serde::Deserializer<'de>>(
                name: &str,
                deserializer: D,
            ) -> Option<Result<Self, D::Error>> {
                $(if $crate::human::snake(stringify!($name)) == name {
                    return Some(<$name as serde::Deserialize>::deserialize(deserializer).map(Self::from));
                })*
                None
            }

            pub(crate) fn body(&self, out: &mut alloc::vec::Vec<u8>) {
                match self { $(Self::$name(body) => $crate::codec::append(body, out),)* }
            }

            pub(crate) fn from_body(code: u16, version: u8, body: &[u8]) -> Result<Self, $crate::codec::Error> {
                match (code, version) {
                    $(($code, 1) => $crate::codec::whole(body).map(Self::$name),)*
                    _ => Err($crate::codec::Error::$unknown { code, version }),
                }
            }
        }

        $(impl From<$name> for $kind { fn from(body: $name) -> Self { Self::$name(body.into()) } })*
    };
}
