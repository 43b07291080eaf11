//! Reads settings one by one from a parsed TOML file and the environment, and collects every mistake with its place.
//!
//! The parser keeps where each value stands, so a mistake is told with line and column; a wrong value never hides the
//! next one.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    place: Place,
    what: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Line { line: usize, column: usize },
    Variable(String),
    Nowhere,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Line { line, column } => write!(f, "line {line}, column {column}: ")?,
            Place::Variable(name) => write!(f, "variable {name}: ")?,
            Place::Nowhere => {}
        }
        f.write_str(&self.what)
    }
}

/// The file's text and tree, the environment, and what was found wrong so far.
pub(super) struct Reader<'a> {
    text: &'a str,
    environment: BTreeMap<String, String>,
    asked: RefCell<BTreeSet<String>>,
    problems: RefCell<Vec<Problem>>,
}

/// Where a setting's value comes from.
enum Given<'a> {
    File(&'a Spanned<DeValue<'a>>),
    Variable(String, &'a str),
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str, environment: BTreeMap<String, String>) -> Self {
        Self { text, environment, asked: RefCell::default(), problems: RefCell::default() }
    }

    /// Parses the file; syntax errors become problems, and the rest is still read.
    pub(super) fn parse(&self) -> DeTable<'a> {
        let (root, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            let place = error.span().map_or(Place::Nowhere, |span| self.place(span.start));
            self.problem(place, error.message().to_owned());
        }
        root.into_inner()
    }

    /// The section `name` of `root`; a missing one is empty.
    pub(super) fn section(&'a self, root: &'a DeTable<'a>, name: &'static str) -> Section<'a> {
        let table = root.get(name).and_then(|value| {
            let table = value.get_ref().as_table();
            if table.is_none() {
                self.problem(self.place(value.span().start), format!("`{name}` must be a section: write [{name}]"));
            }
            table
        });
        Section {
            reader: self,
            prefix: name.to_owned(),
            variables: Some(format!("FLORIN_{}_", name.to_uppercase())),
            table,
            known: RefCell::default(),
        }
    }

    /// Complains about top-level keys that are no section.
    pub(super) fn only_sections(&self, root: &DeTable<'_>, known: &[&str]) {
        for key in root.keys() {
            let name = key.get_ref().as_ref();
            if !known.contains(&name) {
                self.problem(
                    self.place(key.span().start),
                    format!("there is no section `{name}`{}", suggestion(name, known)),
                );
            }
        }
    }

    /// A variable that is not a setting of a section, such as a secret.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.asked.borrow_mut().insert(name.to_owned());
        self.environment.get(name).map(String::as_str)
    }

    /// FLORIN_ variables that no setting asked for. Not problems: a container platform may set its own.
    pub(super) fn unasked(&self) -> Vec<String> {
        let asked = self.asked.borrow();
        self.environment
            .keys()
            .filter(|name| !asked.contains(*name))
            .map(|name| format!("the variable {name} is set but is no setting of Florin"))
            .collect()
    }

    /// The problems in the order of their lines.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by(|left, right| left.place.cmp(&right.place));
        problems
    }

    pub(super) fn failed(&self) -> bool {
        !self.problems.borrow().is_empty()
    }

    fn place(&self, offset: usize) -> Place {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place::Line { line, column: before[start..].chars().count() + 1 }
    }

    fn problem(&self, place: Place, what: String) {
        self.problems.borrow_mut().push(Problem { place, what });
    }
}

/// One section, or one entry of a list of them.
pub(super) struct Section<'a> {
    reader: &'a Reader<'a>,
    prefix: String,
    variables: Option<String>,
    table: Option<&'a DeTable<'a>>,
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Section<'a> {
    /// A whole number within `bounds`.
    pub(super) fn number(&self, key: &'static str, bounds: RangeInclusive<u64>, default: u64) -> u64 {
        let Some(given) = self.given(key) else {
            return default;
        };
        let text = match &given {
            Given::File(value) => match value.get_ref() {
                DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
                _ => return self.wrong(&given, key, "must be a whole number", default),
            },
            Given::Variable(_, text) => text,
        };
        match text.parse() {
            Ok(number) if bounds.contains(&number) => number,
            _ => {
                let what = format!("must be {} to {}, not {text}", bounds.start(), bounds.end());
                self.wrong(&given, key, &what, default)
            }
        }
    }

    /// A share between 0 and 1.
    pub(super) fn share(&self, key: &'static str, default: f64) -> f64 {
        let Some(given) = self.given(key) else {
            return default;
        };
        let text = match &given {
            Given::File(value) => match value.get_ref() {
                DeValue::Integer(number) => number.as_str(),
                DeValue::Float(number) => number.as_str(),
                _ => return self.wrong(&given, key, "must be a number from 0 to 1", default),
            },
            Given::Variable(_, text) => text,
        };
        match text.parse::<f64>() {
            Ok(share) if (0.0..=1.0).contains(&share) => share,
            _ => self.wrong(&given, key, "must be a number from 0 to 1", default),
        }
    }

    /// Yes or no.
    pub(super) fn flag(&self, key: &'static str, default: bool) -> bool {
        let Some(given) = self.given(key) else {
            return default;
        };
        let flag = match &given {
            Given::File(value) => value.get_ref().as_bool(),
            Given::Variable(_, text) => text.parse().ok(),
        };
        flag.unwrap_or_else(|| self.wrong(&given, key, "must be true or false", default))
    }

    /// A text, if given.
    pub(super) fn text(&self, key: &'static str) -> Option<String> {
        let given = self.given(key)?;
        match &given {
            Given::File(value) => match value.get_ref().as_str() {
                Some(text) => Some(text.to_owned()),
                None => self.wrong(&given, key, "must be a text in quotes", None),
            },
            Given::Variable(_, text) => Some((*text).to_owned()),
        }
    }

    /// A text that `convert` takes; its error says what it must be.
    pub(super) fn parsed<T>(
        &self,
        key: &'static str,
        default: T,
        convert: impl FnOnce(&str) -> Result<T, String>,
    ) -> T {
        let Some(text) = self.text(key) else {
            return default;
        };
        match (convert(&text), self.given(key)) {
            (Ok(value), _) => value,
            (Err(what), Some(given)) => self.wrong(&given, key, &what, default),
            (Err(_), None) => default,
        }
    }

    /// A list of texts that `convert` takes, each mistake at its own place. A variable has them with commas between them.
    pub(super) fn texts<T>(&self, key: &'static str, convert: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        let Some(given) = self.given(key) else {
            return Vec::new();
        };
        let mut read = Vec::new();
        match &given {
            Given::File(value) => {
                let Some(entries) = value.get_ref().as_array() else {
                    return self.wrong(&given, key, "must be a list such as [\"…\", \"…\"]", read);
                };
                for entry in entries {
                    match entry.get_ref().as_str().map(&convert) {
                        Some(Ok(item)) => read.push(item),
                        Some(Err(what)) => self.wrong(&Given::File(entry), key, &what, ()),
                        None => self.wrong(&Given::File(entry), key, "must be texts in quotes", ()),
                    }
                }
            }
            Given::Variable(_, text) => {
                for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
                    match convert(entry) {
                        Ok(item) => read.push(item),
                        Err(what) => self.wrong(&given, key, &what, ()),
                    }
                }
            }
        }
        read
    }

    /// A text that must be there and that `convert` takes.
    pub(super) fn required<T>(&self, key: &'static str, convert: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        if self.given(key).is_none() {
            self.missing(key);
            return None;
        }
        self.parsed(key, None, |text| convert(text).map(Some))
    }

    /// Complains about the value of `key`, if it is there.
    pub(super) fn complain(&self, key: &'static str, what: &str) {
        if let Some(given) = self.given(key) {
            self.wrong(&given, key, what, ());
        }
    }

    /// Complains that `key` is not there.
    pub(super) fn missing(&self, key: &str) {
        let place = self
            .table
            .and_then(|table| table.keys().next())
            .map_or(Place::Nowhere, |first| self.reader.place(first.span().start));
        self.reader.problem(place, format!("`{}.{key}` is missing", self.prefix));
    }

    /// Complains about settings that do not go together.
    pub(super) fn contrary(&self, what: &str) {
        let first = self.table.and_then(|table| table.keys().next());
        let place = first.map_or(Place::Nowhere, |first| self.reader.place(first.span().start));
        self.reader.problem(place, format!("[{}]: {what}", self.prefix));
    }

    /// The tables of `[[section.key]]`, in order. Lists come from the file only.
    pub(super) fn list(&self, key: &'static str) -> Vec<Section<'a>> {
        self.known.borrow_mut().push(key);
        let Some(value) = self.table.and_then(|table| table.get(key)) else {
            return Vec::new();
        };
        let header = format!("{}.{key}", self.prefix);
        let must = format!("`{header}` must be a list: write [[{header}]] over each entry");
        let Some(entries) = value.get_ref().as_array() else {
            self.reader.problem(self.reader.place(value.span().start), must);
            return Vec::new();
        };
        entries
            .iter()
            .filter_map(|entry| {
                let Some(table) = entry.get_ref().as_table() else {
                    self.reader.problem(self.reader.place(entry.span().start), must.clone());
                    return None;
                };
                Some(Section {
                    reader: self.reader,
                    prefix: header.clone(),
                    variables: None,
                    table: Some(table),
                    known: RefCell::default(),
                })
            })
            .collect()
    }

    /// Complains about keys that no setting asked for. Called last.
    pub(super) fn finish(&self) {
        let known = self.known.borrow();
        for key in self.table.into_iter().flat_map(|table| table.keys()) {
            let name = key.get_ref().as_ref();
            if !known.contains(&name) {
                self.reader.problem(
                    self.reader.place(key.span().start),
                    format!("there is no setting `{}.{name}`{}", self.prefix, suggestion(name, &known)),
                );
            }
        }
    }

    fn given(&self, key: &'static str) -> Option<Given<'a>> {
        if !self.known.borrow().contains(&key) {
            self.known.borrow_mut().push(key);
        }
        if let Some(prefix) = &self.variables {
            let name = format!("{prefix}{}", key.to_uppercase());
            if let Some(text) = self.reader.variable(&name) {
                return Some(Given::Variable(name, text));
            }
        }
        self.table.and_then(|table| table.get(key)).map(Given::File)
    }

    fn wrong<T>(&self, given: &Given<'_>, key: &str, what: &str, default: T) -> T {
        let place = match given {
            Given::File(value) => self.reader.place(value.span().start),
            Given::Variable(name, _) => Place::Variable(name.clone()),
        };
        self.reader.problem(place, format!("`{}.{key}` {what}", self.prefix));
        default
    }
}

/// `: did you mean …?` when a known name is one or two typing mistakes away.
fn suggestion(name: &str, known: &[&str]) -> String {
    known
        .iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .min()
        .filter(|(distance, _)| *distance <= 2)
        .map_or_else(
            || format!(": known are {}", known.join(", ")),
            |(_, candidate)| format!(": did you mean `{candidate}`?"),
        )
}

/// Typing mistakes between two names: inserted, left out, or changed letters.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, from) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in right.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}
