//! What can be set about the mobile API.

/// Settings of the mobile API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether a status change is always answered with the document's `Card successfully frozen` [no].
    pub legacy_messages: bool,
    /// Requests to change a status per address in any minute; 0: no limit [60, the document's].
    pub status_changes_per_minute: u32,
    /// Appeals per address in any minute; 0: no limit [10, the document's].
    pub appeals_per_minute: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { legacy_messages: false, status_changes_per_minute: 60, appeals_per_minute: 10 }
    }
}
