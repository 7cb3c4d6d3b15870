//! The command line: what can be said, and nothing of what is done.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use shared_model::{Address, AddressError, RoomAddress};

/// A SIP and XMPP service of one account each: calls, chat, and rooms that are both.
#[derive(Parser)]
#[command(name = "cusax", version)]
pub(crate) struct Line {
    /// Configuration file; without one, defaults and the environment.
    #[arg(long, global = true)]
    pub(crate) config: Option<PathBuf>,
    /// Print data as JSON, one object a line.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Runs a throw-away service on this machine, with accounts and a room, and what to try.
    Demo,
    /// Runs the service.
    Serve {
        /// Which services to run; all by default.
        #[arg(long, value_delimiter = ',', default_value = "sip,xmpp,conference,provisioning")]
        run: Vec<Part>,
    },
    /// Makes, shows, changes and removes accounts.
    #[command(subcommand)]
    User(User),
    /// Makes and takes back further passwords, each for one device.
    #[command(subcommand)]
    AppPassword(AppPassword),
    /// Makes a token of the API for a program and prints it once.
    ApiToken {
        /// Whose account it acts for.
        #[arg(value_parser = address)]
        address: Address,
        /// What it is for.
        #[arg(long, default_value = "command line")]
        name: String,
        /// What it may do: account:read, account:write, directory:read, admin:read, admin:write.
        #[arg(long, value_delimiter = ',', required = true)]
        scopes: Vec<provisioning::Scope>,
        /// How long it is good for.
        #[arg(long, default_value = "90d", value_parser = lifetime)]
        expires: Duration,
    },
    /// Makes and takes back invitations: each makes one account, for calls and for chat, by a link.
    #[command(subcommand)]
    Invite(Invite),
    /// Keeps networks, and addresses, domains and telephone numbers of elsewhere, out of the service, and lets them in again.
    #[command(subcommand)]
    Ban(Ban),
    /// Lets desk phones configure themselves, and takes that back.
    #[command(subcommand)]
    Phone(Phone),
    /// Shows and sets what clients are configured with: for everybody, a domain, a group, an account, a device.
    #[command(subcommand)]
    Profile(Profile),
    /// Makes rooms.
    #[command(subcommand)]
    Room(Room),
    /// Shows the timeline of an account: what happened to it over SIP, XMPP, conferences, media, logins and provisioning; or what all timelines
    /// have of something else.
    Trace {
        /// An account by address of record, JID, or telephone number; a Call-ID; a correlation; a room; a network address; somebody of
        /// another service by number, SIP URI or JID.
        about: String,
        /// Only what happened within this time, such as 1h or 7d; all that is kept by default.
        #[arg(long, value_parser = duration)]
        since: Option<Duration>,
        /// Go on with what happens from now on.
        #[arg(long)]
        follow: bool,
    },
    /// Says whether the service is well, and what to do where it is not; ends with 0 when all holds.
    Doctor {
        #[arg(help = crate::doctor::subjects())]
        name: Option<String>,
        /// Ask no name server.
        #[arg(long)]
        no_dns: bool,
    },
    /// Exports calls as they were written down.
    #[command(subcommand)]
    Calls(Calls),
    /// Reads users of another server, as Prosody and ejabberd write them (XEP-0227): a file, or a folder of them.
    Import { path: PathBuf },
    /// Writes every user into a folder (XEP-0227).
    Export {
        folder: PathBuf,
        /// A document for each user, as Prosody reads them, and not files that include each other.
        #[arg(long)]
        each: bool,
    },
    /// Takes auth.key of data_dir, or a new one, for the store's own, when that one is lost for good; phones then work again once their
    /// owner signs in on a page, or has a new password.
    RenewKey,
    /// Checks the configuration, and prints its keys and what name servers shall say.
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// A service that can be run alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    Sip,
    Xmpp,
    Conference,
    Provisioning,
}

#[derive(Subcommand)]
pub(crate) enum User {
    /// Makes an account; without --password-stdin a password is made and printed once.
    Add(NewUser),
    /// Lists every account.
    List,
    /// Shows one account.
    Show {
        #[arg(value_parser = kept_address)]
        address: Address,
    },
    /// Changes what is said of an account, and what it may do; what is not given stays.
    Change(ChangedUser),
    /// Changes the password of an account; without --password-stdin one is made and printed once.
    Password {
        #[arg(value_parser = kept_address)]
        address: Address,
        /// Read the password from the first line of standard input.
        #[arg(long)]
        password_stdin: bool,
    },
    /// Makes a token with which one device fetches its configuration once: `/provision/…?token=`.
    Token {
        #[arg(value_parser = address)]
        address: Address,
        /// How long it is good for.
        #[arg(long, default_value = "7d", value_parser = lifetime)]
        expires: Duration,
    },
    /// Makes a link by which somebody sets a new password, once.
    ResetLink {
        #[arg(value_parser = address)]
        address: Address,
        /// How long it is good for.
        #[arg(long, default_value = "1d", value_parser = lifetime)]
        expires: Duration,
    },
    /// Forbids an account to log in, and ends its chat, its registrations and its legs in rooms; a call between two phones goes on.
    Disable {
        #[arg(value_parser = kept_address)]
        address: Address,
    },
    /// Allows an account to log in again.
    Enable {
        #[arg(value_parser = kept_address)]
        address: Address,
    },
    /// Removes an account for good.
    Remove {
        #[arg(value_parser = kept_address)]
        address: Address,
    },
}

#[derive(Args)]
#[group(required = true, multiple = true)]
pub(crate) struct Changes {
    /// The name to show.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// A telephone number, E.164, in place of those before; may be given several times.
    #[arg(long = "number")]
    pub(crate) numbers: Vec<String>,
    /// Takes all numbers away.
    #[arg(long, conflicts_with = "numbers")]
    pub(crate) no_numbers: bool,
    /// Whether it may make video calls.
    #[arg(long)]
    pub(crate) video: Option<bool>,
    /// Whether it administers the service.
    #[arg(long)]
    pub(crate) admin: Option<bool>,
}

#[derive(Args)]
pub(crate) struct ChangedUser {
    #[arg(value_parser = kept_address)]
    pub(crate) address: Address,
    #[command(flatten)]
    pub(crate) changes: Changes,
}

#[derive(Args)]
pub(crate) struct NewUser {
    /// What people dial, and what they chat with unless --jid says otherwise.
    #[arg(value_parser = address)]
    pub(crate) address: Address,
    /// Read the password from the first line of standard input.
    #[arg(long)]
    pub(crate) password_stdin: bool,
    /// The name to show.
    #[arg(long, default_value = "")]
    pub(crate) name: String,
    /// A telephone number, E.164; may be given several times.
    #[arg(long = "number")]
    pub(crate) numbers: Vec<String>,
    /// A JID that does not look like the address of record.
    #[arg(long, value_parser = address)]
    pub(crate) jid: Option<Address>,
    /// May make video calls.
    #[arg(long)]
    pub(crate) video: bool,
    /// Administers the service.
    #[arg(long)]
    pub(crate) admin: bool,
}

#[derive(Subcommand)]
pub(crate) enum AppPassword {
    /// Makes a password for one device and prints it once.
    Add {
        #[arg(value_parser = address)]
        address: Address,
        name: String,
        /// Good for calls alone, and no password in chat.
        #[arg(long)]
        calls_alone: bool,
    },
    /// Lists the names of an account's app passwords.
    List {
        #[arg(value_parser = address)]
        address: Address,
    },
    /// Takes the password of a device back; what it opened ends.
    Remove {
        #[arg(value_parser = address)]
        address: Address,
        name: String,
    },
}

#[derive(Subcommand)]
pub(crate) enum Ban {
    /// Keeps somebody out from now on.
    Add {
        /// A network such as 192.0.2.0/24, an address such as eve@example.net, a domain, or a telephone number such as +33123456789, which
        /// calls nobody then, by whatever carrier.
        who: String,
        /// Why.
        #[arg(long)]
        reason: String,
        /// How long: from a minute to 366d.
        #[arg(long = "for", default_value = "24h", value_parser = lifetime)]
        term: Duration,
    },
    /// Lists the bans that hold now.
    List,
    /// Lets somebody in again.
    Remove { who: String },
}

#[derive(Subcommand)]
pub(crate) enum Invite {
    /// Makes a link that is good once, and prints it, for a camera too.
    Create(NewInvite),
    /// Lists the invitations that are open.
    List,
    /// Takes an invitation back, by the id that `list` says.
    Revoke { id: String },
}

#[derive(Args)]
pub(crate) struct NewInvite {
    /// How long it is good for.
    #[arg(long, default_value = "7d", value_parser = lifetime)]
    pub(crate) expires: Duration,
    /// The user name that the account will have; without one the invited one chooses.
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// The domain of the account; without it that of the contact, or the service's own.
    #[arg(long)]
    pub(crate) domain: Option<String>,
    /// The name to show.
    #[arg(long, default_value = "")]
    pub(crate) name: String,
    /// An account that will be the first contact, as if it had invited.
    #[arg(long, value_parser = address)]
    pub(crate) contact: Option<Address>,
    /// The account will administer the service.
    #[arg(long)]
    pub(crate) admin: bool,
}

#[derive(Subcommand)]
pub(crate) enum Phone {
    /// Prints the URL from which one desk phone configures itself, each time that it starts.
    Add {
        /// Whose phone it is.
        #[arg(value_parser = address)]
        address: Address,
        /// Its hardware address, such as 00:15:65:aa:bb:cc.
        #[arg(long)]
        mac: provisioning::Mac,
        /// yealink, snom, grandstream or polycom.
        #[arg(long)]
        make: provisioning::Make,
    },
    /// Lists the phones of an account.
    List {
        #[arg(value_parser = address)]
        address: Address,
    },
    /// Takes the URL and the password of a phone back.
    Remove {
        #[arg(value_parser = address)]
        address: Address,
        mac: provisioning::Mac,
    },
}

#[derive(Subcommand)]
pub(crate) enum Profile {
    /// Shows a layer's settings, as JSON: service, domain:DOMAIN, group:NAME, account:ADDRESS, device:ADDRESS/NAME.
    Show { layer: provisioning::Layer },
    /// Replaces a layer's settings, such as '{"srtp":"required"}'; {} removes the layer.
    Set { layer: provisioning::Layer, settings: String },
}

#[derive(Subcommand)]
pub(crate) enum Room {
    /// Makes a room that is kept: a chat, and a call at `sip:` before its address.
    Add(NewRoom),
}

#[derive(Args)]
pub(crate) struct NewRoom {
    /// Where it is, such as dev@conference.example.org.
    #[arg(value_parser = room)]
    pub(crate) address: RoomAddress,
    /// The name to show.
    #[arg(long, default_value = "")]
    pub(crate) name: String,
    /// Only members enter.
    #[arg(long)]
    pub(crate) members_only: bool,
    /// Newcomers have no voice until somebody grants it.
    #[arg(long)]
    pub(crate) moderated: bool,
    /// Four to sixteen digits: the password of the chat, which who calls keys in, unless a member or inside the chat already.
    #[arg(long)]
    pub(crate) pin: Option<String>,
    /// An account that owns it; may be given several times.
    #[arg(long = "owner", value_parser = address)]
    pub(crate) owners: Vec<Address>,
}

#[derive(Subcommand)]
pub(crate) enum Calls {
    /// Prints one row a call, oldest first: CSV, or JSON with --json.
    Export {
        /// Only calls that began within this time, such as 1h or 7d.
        #[arg(long, value_parser = duration)]
        since: Option<Duration>,
        /// CSV, which is the default.
        #[arg(long, conflicts_with = "json")]
        csv: bool,
    },
}

#[derive(Subcommand)]
pub(crate) enum ConfigCommand {
    /// Says what is wrong with the configuration.
    Check,
    /// Prints every key, its default and its meaning.
    Print,
    /// Prints what name servers shall say of each domain, as zone files.
    Zone {
        /// An address of the host; may be given several times. None: the zone says them already.
        #[arg(long = "address")]
        addresses: Vec<std::net::IpAddr>,
        /// The host that the services are on, if it is not the domain itself.
        #[arg(long)]
        host: Option<String>,
    },
}

/// An address, as it is or as the URI that commands print.
fn address(text: &str) -> Result<Address, AddressError> {
    provisioning::address_in(text).parse()
}

/// Of an account that there is, made by an older release perhaps.
fn kept_address(text: &str) -> Result<Address, AddressError> {
    Address::kept(&provisioning::address_in(text))
}

fn room(text: &str) -> Result<RoomAddress, AddressError> {
    provisioning::address_in(text).parse()
}

/// How long something is good for: for some time.
fn lifetime(text: &str) -> Result<Duration, String> {
    let length = duration(text)?;
    if length.is_zero() { Err("it would be over at once".to_owned()) } else { Ok(length) }
}

fn duration(text: &str) -> Result<Duration, String> {
    shared_runtime::config::parse_duration(text)
        .ok_or_else(|| "a length of time is written 7d, 12h or 30m".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn each_command_says_what_it_does_and_no_other_says_the_same() {
        let (mut open, mut heads) = (vec![Line::command()], Vec::new());
        while let Some(command) = open.pop() {
            open.extend(command.get_subcommands().cloned());
            let head = command.get_about().map(ToString::to_string).unwrap_or_default();
            let verb = head.split([' ', ',']).next().unwrap_or_default();
            // The product itself is a thing.
            assert!(verb.ends_with('s') || verb == "A", "`{}` says `{head}`", command.get_name());
            assert!(!heads.contains(&head), "`{}` says `{head}` as another does", command.get_name());
            heads.push(head);
        }
        assert!(heads.len() > 30, "{heads:?}");
    }
}
