//! A statement on its way out, line by line as it is read: as text, CSV or JSON. Nothing of it is kept.

use std::io::{self, Write};

use serde::Serialize;

/// One movement. Amounts are in the asset's decimals, credits to the card or wallet positive.
#[derive(Debug, Serialize)]
pub(super) struct Line<'a> {
    pub(super) time: String,
    pub(super) position: String,
    /// As the APIs and views name it: a purchase and its clearings are one, a fee has its own.
    pub(super) transaction: String,
    pub(super) event: &'static str,
    pub(super) asset: &'a str,
    /// The card it is about; empty for a wallet's own.
    pub(super) card: String,
    /// The other side of the posting.
    pub(super) against: &'static str,
    pub(super) amount: String,
    pub(super) balance: String,
    pub(super) merchant: &'a str,
}

/// What the statement is of, and where it begins.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Head {
    /// `card ID` or `wallet ACCOUNT/ASSET`.
    pub(super) of: String,
    pub(super) asset: String,
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    pub(super) opening: String,
}

/// In what form it is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    Text,
    Csv,
    Json,
}

/// A statement that has begun.
pub(super) struct Sheet<W> {
    out: W,
    form: Form,
    head: Head,
    lines: u64,
}

impl<W: Write> Sheet<W> {
    pub(super) fn begin(mut out: W, form: Form, head: Head) -> io::Result<Self> {
        match form {
            Form::Text => {
                writeln!(out, "{} {}", head.of, head.asset)?;
                writeln!(out, "opening {:>70}", head.opening)?;
            }
            Form::Csv => {
                writeln!(out, "time,position,transaction,event,account,asset,card,against,amount,balance,merchant")?;
                edge(&mut out, head.from.as_deref(), "opening", &head, &head.opening)?;
            }
            Form::Json => {
                let text = serde_json::to_string_pretty(&head)?;
                // Open, for what follows.
                writeln!(out, "{},\n  \"lines\": [", text.trim_end().trim_end_matches('}').trim_end())?;
            }
        }
        Ok(Self { out, form, head, lines: 0 })
    }

    pub(super) fn line(&mut self, line: &Line<'_>) -> io::Result<()> {
        let Line { time, position, transaction, event, asset, card, against, amount, balance, merchant } = line;
        match self.form {
            Form::Text => writeln!(
                self.out,
                "{time} {position:>14} {event:<16} {against:<16} {amount:>16} {balance:>16} {}",
                printable(merchant)
            )?,
            Form::Csv => {
                let (of, merchant) = (&self.head.of, field(merchant));
                writeln!(
                    self.out,
                    "{time},{position},{transaction},{event},{of},{asset},{card},{against},{amount},{balance},{merchant}"
                )?;
            }
            Form::Json => {
                let comma = if self.lines > 0 { ",\n" } else { "" };
                write!(self.out, "{comma}    {}", serde_json::to_string(line)?)?;
            }
        }
        self.lines += 1;
        Ok(())
    }

    pub(super) fn end(mut self, closing: &str, incomplete: &[String]) -> io::Result<()> {
        match self.form {
            Form::Text => writeln!(self.out, "closing {closing:>70}")?,
            Form::Csv => edge(&mut self.out, self.head.to.as_deref(), "closing", &self.head, closing)?,
            Form::Json => {
                let end = if self.lines > 0 { "\n  " } else { "  " };
                let (closing, incomplete) = (serde_json::to_string(closing)?, serde_json::to_string(incomplete)?);
                writeln!(self.out, "{end}],\n  \"closing\": {closing},\n  \"incomplete\": {incomplete}\n}}")?;
            }
        }
        self.out.flush()
    }
}

/// The row of an opening or closing balance.
fn edge(out: &mut impl Write, time: Option<&str>, event: &str, head: &Head, balance: &str) -> io::Result<()> {
    writeln!(out, "{},,,{event},{},{},,,,{balance},", field(time.unwrap_or("")), head.of, head.asset)
}

/// A text of somebody else's as a field: quoted where it must be, and never a formula to a spreadsheet.
fn field(text: &str) -> String {
    let formula = text.trim_start_matches(' ').starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', ';', '"', '\n', '\r', '\t']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

/// A text of somebody else's for a terminal: control characters could move its cursor, or more.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(form: Form, merchants: &[&str]) -> String {
        let (of, asset) = ("card 7".to_owned(), "USD".to_owned());
        let head = Head { of, asset, from: None, to: None, opening: "0.00".into() };
        let mut out = Vec::new();
        let mut sheet = Sheet::begin(&mut out, form, head).unwrap();
        for merchant in merchants {
            let line = Line {
                time: "now".into(),
                position: "0.1.0".into(),
                transaction: "9".into(),
                event: "Cleared",
                asset: "USD",
                card: "7".into(),
                against: "network",
                amount: "-1.00".into(),
                balance: "-1.00".into(),
                merchant,
            };
            sheet.line(&line).unwrap();
        }
        sheet.end("-1.00", &["a torn end".into()]).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// A merchant's name comes from outside; amounts are ours, and stay numbers.
    #[test]
    fn a_merchants_name_is_never_a_formula() {
        for name in ["=HYPERLINK(1)", "+1", "-1", "@SUM(1)", "  =1", "\t=1"] {
            let csv = written(Form::Csv, &[name]);
            let row = csv.lines().nth(2).unwrap();
            let field = row.split(",-1.00,-1.00,").nth(1).unwrap();
            assert!(field.starts_with('\'') || field.starts_with("\"'"), "{row}");
        }
        assert!(written(Form::Csv, &["Books, \"new\""]).contains(",-1.00,-1.00,\"Books, \"\"new\"\"\"\n"));
        assert!(written(Form::Csv, &["Café 1-2"]).contains(",-1.00,-1.00,Café 1-2\n"));
    }

    #[test]
    fn every_row_has_every_column() {
        let csv = written(Form::Csv, &["Books", ""]);
        let columns: Vec<usize> = csv.lines().map(|row| row.split(',').count()).collect();
        assert_eq!(columns, [11; 5], "{csv}");
    }

    #[test]
    fn json_is_whole_however_many_lines_there_are() {
        for merchants in [&[][..], &["a"], &["a", "b\u{1B}\""]] {
            let read: serde_json::Value = serde_json::from_str(&written(Form::Json, merchants)).unwrap();
            assert_eq!(read["lines"].as_array().unwrap().len(), merchants.len());
            assert_eq!((&read["opening"], &read["closing"]), (&"0.00".into(), &"-1.00".into()));
            assert_eq!(read["incomplete"][0], "a torn end");
        }
    }

    #[test]
    fn a_terminal_is_sent_no_control_characters() {
        let text = written(Form::Text, &["a\u{1B}[2Jb\r"]);
        assert!(!text.contains(['\u{1B}', '\r']) && text.contains("a\u{FFFD}[2Jb\u{FFFD}"), "{text:?}");
    }
}
