//! Where in a document a path such as `programmes[1].issue_fee` stands.

/// Line and column, from 1, of the value at `path`; of the nearest enclosing value where the path goes no further, as
/// for a field that is missing. `document` must be well-formed JSON, which the caller has parsed before.
pub(super) fn find(document: &str, path: &str) -> (usize, usize) {
    let mut scan = Scan { bytes: document.as_bytes(), at: 0 };
    scan.space();
    let mut found = scan.at;
    for step in path.split(['.', '[']).filter(|step| !step.is_empty()) {
        let entered = match step.strip_suffix(']') {
            Some(index) => index.parse().is_ok_and(|index| scan.enter_element(index)),
            None => scan.enter_field(step),
        };
        if !entered {
            break;
        }
        found = scan.at;
    }
    let before = &document.as_bytes()[..found];
    let line = before.split(|byte| *byte == b'\n').count();
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    (line, found - start + 1)
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// Moves to the value of a field of the object that begins here.
    fn enter_field(&mut self, name: &str) -> bool {
        self.enter(b'{', |scan| {
            let key = scan.at;
            scan.skip();
            let found = is_quoted(&scan.bytes[key..scan.at], name);
            scan.space();
            scan.at += 1; // the colon
            scan.space();
            found
        })
    }

    /// Moves to an element of the array that begins here.
    fn enter_element(&mut self, index: usize) -> bool {
        let mut next = 0;
        self.enter(b'[', |_| {
            next += 1;
            next > index
        })
    }

    fn enter(&mut self, open: u8, mut wanted: impl FnMut(&mut Self) -> bool) -> bool {
        if self.peek() != Some(open) {
            return false;
        }
        self.at += 1;
        self.space();
        while !matches!(self.peek(), None | Some(b'}' | b']')) {
            if wanted(self) {
                return true;
            }
            self.skip();
            self.space();
            if self.peek() == Some(b',') {
                self.at += 1;
                self.space();
            }
        }
        false
    }

    /// Moves behind the value that begins here.
    fn skip(&mut self) {
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                None => return,
                Some(b'"') => self.skip_string(),
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.at += 1;
                }
                Some(b'}' | b']') => {
                    depth -= 1;
                    self.at += 1;
                }
                Some(_) => self.at += 1,
            }
            let ends = matches!(self.peek(), None | Some(b',' | b'}' | b']' | b':'))
                || self.peek().is_some_and(|byte| byte.is_ascii_whitespace());
            if depth == 0 && ends {
                return;
            }
        }
    }

    fn skip_string(&mut self) {
        self.at += 1;
        while let Some(byte) = self.peek() {
            self.at += if byte == b'\\' { 2 } else { 1 };
            if byte == b'"' {
                return;
            }
        }
    }
}

/// Whether these bytes of the document are `"name"`.
fn is_quoted(bytes: &[u8], name: &str) -> bool {
    bytes.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).is_some_and(|inner| inner == name.as_bytes())
}
