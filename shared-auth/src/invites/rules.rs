//! What people may choose for themselves: names that no one mistakes for another, passwords that no one guesses first.
//!
//! In    what was typed. Out the name as it is kept, or the rule that it breaks, in words for whoever typed it.
//! Not here: what an operator may choose, who may do more; SASLprep of passwords ([`PasswordError`](crate::PasswordError)).
//!
//! `common-passwords.txt` is the part of a public list of the passwords most often found in leaks that has eight characters
//! or more, in lower case, sorted by bytes.

/// Why a name cannot be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was typed.
    #[error("a user name is missing")]
    Empty,
    /// Longer than 64 characters.
    #[error("a name has at most 64 characters")]
    TooLong,
    /// Something else than a-z, 0-9, dot, hyphen and underscore; or it begins or ends with one of the last three.
    #[error("a user name is made of the letters a to z, digits, and . - _ between them")]
    Characters,
    /// Mail and web give it a meaning (RFC 2142), or people would take it for the operator.
    #[error("this user name is kept for the operator")]
    Reserved,
    /// The name to show holds control characters, or nothing that is seen.
    #[error("the name to show holds characters that cannot be shown")]
    Unshowable,
}

/// Why a password is refused that could be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakPassword {
    /// Fewer than eight characters.
    #[error("a password has at least {SHORTEST} characters")]
    TooShort,
    /// Guessers try it first.
    #[error(
        "this password is among the first that are guessed; take another, such as four words that have nothing in common"
    )]
    Common,
    /// It is the user name, or begins with it and adds little.
    #[error("a password is not made of the user name")]
    IsName,
}

/// The user name as it is kept, or why it cannot be chosen.
pub fn check_name(typed: &str) -> Result<String, NameError> {
    let name = typed.trim().to_ascii_lowercase();
    check_grammar(&name)?;
    let is_reserved = RESERVED.contains(&name.as_str()) || is_trial_name(&name);
    if is_reserved { Err(NameError::Reserved) } else { Ok(name) }
}

/// Whether a user name is that of an account that the service makes to try itself with: `doctor-` and 16 digits in hexadecimal. What such
/// accounts do is nobody's, and so nobody else has such a name.
pub fn is_trial_name(name: &str) -> bool {
    let number = name.strip_prefix(TRIAL).unwrap_or_default();
    number.len() == 16 && number.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether it can be a user name at all; the operator may give out reserved ones.
pub(crate) fn check_grammar(name: &str) -> Result<(), NameError> {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
    match name.len() {
        0 => return Err(NameError::Empty),
        65.. => return Err(NameError::TooLong),
        _ => {}
    }
    let is_outer = |end: Option<&u8>| end.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    if bytes.iter().all(|byte| is_inner(*byte)) && is_outer(bytes.first()) && is_outer(bytes.last()) {
        Ok(())
    } else {
        Err(NameError::Characters)
    }
}

/// The name to show as it is kept, or why it cannot be shown.
pub fn check_shown_name(typed: &str) -> Result<String, NameError> {
    let name = typed.trim();
    if name.chars().count() > 64 {
        return Err(NameError::TooLong);
    }
    // Marks that turn the direction of writing would make one name look like another.
    let is_mark =
        |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let is_blank = |c: char| {
        c.is_whitespace()
            || matches!(c, '\u{ad}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2064}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fffd}')
    };
    let is_invisible = !name.is_empty() && name.chars().all(is_blank);
    if is_invisible || name.chars().any(|c| c.is_control() || is_mark(c)) {
        return Err(NameError::Unshowable);
    }
    Ok(name.to_owned())
}

/// Whether a password may be chosen for the account of this user name.
pub fn check_password(password: &str, user: &str) -> Result<(), WeakPassword> {
    if password.chars().count() < SHORTEST {
        return Err(WeakPassword::TooShort);
    }
    let lower = password.to_lowercase();
    if !user.is_empty() && is_made_of(&lower, &user.to_lowercase()) {
        return Err(WeakPassword::IsName);
    }
    if is_made_of(&lower, "cusax") {
        return Err(WeakPassword::Common);
    }
    let is_one_letter = lower.chars().all(|c| lower.starts_with(c));
    if is_one_letter || is_common(&lower) { Err(WeakPassword::Common) } else { Ok(()) }
}

/// Whether a password begins with the user name and adds little, or no more than the domain of an address: guessers try these first.
fn is_made_of(password: &str, user: &str) -> bool {
    let Some(rest) = password.strip_prefix(user) else { return false };
    let is_domain = |rest: &str| !rest.contains(|c: char| !c.is_ascii_alphanumeric() && !".-:[]".contains(c));
    rest.chars().count() < SHORTEST || rest.strip_prefix('@').is_some_and(is_domain)
}

fn is_common(password: &str) -> bool {
    // Sorted by bytes: halve until the line is found.
    let mut rest = COMMON;
    while !rest.is_empty() {
        let middle = rest[..rest.len() / 2].rfind('\n').map_or(0, |at| at + 1);
        let end = rest[middle..].find('\n').map_or(rest.len(), |at| middle + at);
        match password.cmp(&rest[middle..end]) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => rest = &rest[..middle],
            std::cmp::Ordering::Greater => rest = rest.get(end + 1..).unwrap_or_default(),
        }
    }
    false
}

const TRIAL: &str = "doctor-";
const COMMON: &str = include_str!("common-passwords.txt");
/// Characters of a password that somebody chooses.
const SHORTEST: usize = 8;
/// RFC 2142, and what would be taken for the service's own.
const RESERVED: &[&str] = &[
    "abuse",
    "admin",
    "administrator",
    "anonymous",
    "hostmaster",
    "info",
    "moderator",
    "noc",
    "operator",
    "owner",
    "postmaster",
    "register",
    "root",
    "security",
    "server",
    "sip",
    "support",
    "sysadmin",
    "system",
    "webmaster",
    "xmpp",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_not_the_operators() {
        assert_eq!(check_name(" Alice.B "), Ok("alice.b".to_owned()));
        assert_eq!(check_name(""), Err(NameError::Empty));
        assert_eq!(check_name(&"a".repeat(65)), Err(NameError::TooLong));
        assert_eq!(check_name("Postmaster"), Err(NameError::Reserved));
        assert_eq!(check_name("Doctor-0123456789abcdef"), Err(NameError::Reserved));
        assert_eq!(check_name("doctor-house"), Ok("doctor-house".to_owned()));
        for bad in ["a b", "a+b", "a@b", "\u{430}lice", ".a", "a-", "a/b", "<a>"] {
            assert_eq!(check_name(bad), Err(NameError::Characters), "{bad}");
        }
        assert_eq!(check_shown_name("a\u{202e}b"), Err(NameError::Unshowable));
        assert_eq!(check_shown_name("a\nb"), Err(NameError::Unshowable));
        assert_eq!(check_shown_name(" Zoë <3 "), Ok("Zoë <3".to_owned()));
        assert_eq!(check_shown_name("\u{200b}\u{feff}"), Err(NameError::Unshowable), "nobody sees it");
        assert!(check_shown_name("\u{2764}\u{fe0f}").is_ok() && check_shown_name("").is_ok());
    }

    #[test]
    fn passwords_that_are_guessed_first_are_refused() {
        assert_eq!(check_password("seven77", "alice"), Err(WeakPassword::TooShort));
        for common in ["password", "Password1", "qwertyuiop", "iloveyou", "xxxxxxxx"] {
            assert_eq!(check_password(common, "alice"), Err(WeakPassword::Common), "{common}");
        }
        assert_eq!(check_password("cusax123", "alice"), Err(WeakPassword::Common));
        for own in ["Alice2026", "ALICE@localhost", "alice@example.org", "alice@[::1]:5060"] {
            assert_eq!(check_password(own, "alice"), Err(WeakPassword::IsName), "{own}");
        }
        assert_eq!(check_password("correct-horse-battery", "alice"), Ok(()));
    }

    #[test]
    fn every_line_of_the_list_is_found() {
        assert!(COMMON.lines().is_sorted() && COMMON.lines().count() > 8000);
        assert!(COMMON.lines().all(is_common));
        assert!(!is_common("") && !is_common("zzzzzzzzzzz") && !is_common("\u{0}"));
    }
}
