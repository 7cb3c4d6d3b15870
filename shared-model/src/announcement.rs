//! Announcements — RFC 7081 §5: what a caller hears before their call goes on, or in place of it.

/// What is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announcement {
    /// The call costs something.
    Charged,
    /// It does, and goes on when the caller presses 1.
    Confirm,
    /// The call is not allowed.
    Refused,
}

/// Says something to callers, as media before an answer. The focus implements it; the proxy sends it INVITEs.
pub trait Announcements: Send + Sync {
    /// Where an INVITE goes whose caller is to hear it. Media come with a 183; the end is 480 when it was said, or confirmed,
    /// and 603 when the caller declined. `None`: nothing can be said.
    fn announcement(&self, what: Announcement) -> Option<String>;
}
