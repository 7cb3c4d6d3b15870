//! Names of XML namespaces, by the document that defines each.

/// Stanzas between client and server (RFC 6120 §4.8.2).
pub const CLIENT: &str = "jabber:client";
/// Stanzas between servers (RFC 6120 §4.8.2).
pub const SERVER: &str = "jabber:server";
/// Stanzas between a server and an external component (XEP-0114).
pub const COMPONENT: &str = "jabber:component:accept";
/// Server dialback (XEP-0220).
pub const DIALBACK: &str = "jabber:server:dialback";
/// Server dialback as a stream feature (XEP-0220 §2.4.2).
pub const DIALBACK_FEATURE: &str = "urn:xmpp:features:dialback";
/// Streams of servers that carry stanzas both ways (XEP-0288).
pub const BIDI: &str = "urn:xmpp:bidi";
/// The same as a stream feature (XEP-0288 §2.1).
pub const BIDI_FEATURE: &str = "urn:xmpp:features:bidi";
/// The stream element, features and stream errors (RFC 6120 §4.8.1).
pub const STREAM: &str = "http://etherx.jabber.org/streams";
/// STARTTLS (RFC 6120 §5).
pub const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
/// SASL (RFC 6120 §6).
pub const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
/// Certificates of an account's clients (XEP-0257).
pub const SASL_CERT: &str = "urn:xmpp:saslcert:1";
/// Channel bindings that a server takes (XEP-0440).
pub const SASL_CB: &str = "urn:xmpp:sasl-cb:0";
/// Resource binding (RFC 6120 §7).
pub const BIND: &str = "urn:ietf:params:xml:ns:xmpp-bind";
/// Session establishment, a no-op that old clients ask for (RFC 3921 §3).
pub const SESSION: &str = "urn:ietf:params:xml:ns:xmpp-session";
/// Conditions of stanza errors (RFC 6120 §8.3).
pub const STANZAS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
/// Conditions of stream errors (RFC 6120 §4.9).
pub const STREAMS: &str = "urn:ietf:params:xml:ns:xmpp-streams";
/// What the prefix `xml` is bound to, always.
pub const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// The roster (RFC 6121 §2).
pub const ROSTER: &str = "jabber:iq:roster";
/// Roster versioning as a stream feature (RFC 6121 §2.6.1).
pub const ROSTER_VERSIONING: &str = "urn:xmpp:features:rosterver";
/// Pre-approval of subscriptions as a stream feature (RFC 6121 §3.4).
pub const PRE_APPROVAL: &str = "urn:xmpp:features:pre-approval";
/// Data forms (XEP-0004).
pub const FORM: &str = "jabber:x:data";
/// Forms on pages (XEP-0141).
pub const LAYOUT: &str = "http://jabber.org/protocol/xdata-layout";
/// Disco, what an entity is (XEP-0030).
pub const DISCO_INFO: &str = "http://jabber.org/protocol/disco#info";
/// Disco, what an entity holds (XEP-0030).
pub const DISCO_ITEMS: &str = "http://jabber.org/protocol/disco#items";
/// Rooms (XEP-0045).
pub const MUC: &str = "http://jabber.org/protocol/muc";
/// Rooms, what users see (XEP-0045).
pub const MUC_USER: &str = "http://jabber.org/protocol/muc#user";
/// Rooms, what admins do (XEP-0045).
pub const MUC_ADMIN: &str = "http://jabber.org/protocol/muc#admin";
/// Rooms, what owners do (XEP-0045).
pub const MUC_OWNER: &str = "http://jabber.org/protocol/muc#owner";
/// Rooms, the form of their configuration (XEP-0045).
pub const MUC_CONFIG: &str = "http://jabber.org/protocol/muc#roomconfig";
/// Rooms, the form of what disco says of them (XEP-0045).
pub const MUC_INFO: &str = "http://jabber.org/protocol/muc#roominfo";
/// Invitations without the room's help (XEP-0249).
pub const DIRECT_INVITE: &str = "jabber:x:conference";
/// vcard-temp (XEP-0054).
pub const VCARD_TEMP: &str = "vcard-temp";
/// vCard4 over iq (XEP-0292, RFC 6351).
pub const VCARD4: &str = "urn:ietf:params:xml:ns:vcard-4.0";
/// Software version (XEP-0092).
pub const VERSION: &str = "jabber:iq:version";
/// Last activity (XEP-0012).
pub const LAST: &str = "jabber:iq:last";
/// Ping (XEP-0199).
pub const PING: &str = "urn:xmpp:ping";
/// Entity time (XEP-0202).
pub const TIME: &str = "urn:xmpp:time";
/// Delayed delivery (XEP-0203).
pub const DELAY: &str = "urn:xmpp:delay";
/// Occupant ids (XEP-0421).
pub const OCCUPANT_ID: &str = "urn:xmpp:occupant-id:0";
/// Stanza ids (XEP-0359).
pub const STANZA_ID: &str = "urn:xmpp:sid:0";
/// Hats (XEP-0317).
pub const HATS: &str = "urn:xmpp:hats:0";
/// Result sets (XEP-0059).
pub const RSM: &str = "http://jabber.org/protocol/rsm";
/// Chat states (XEP-0085).
pub const CHAT_STATES: &str = "http://jabber.org/protocol/chatstates";
/// Message processing hints (XEP-0334).
pub const HINTS: &str = "urn:xmpp:hints";
/// Stream management (XEP-0198).
pub const SM: &str = "urn:xmpp:sm:3";
/// Message carbons (XEP-0280).
pub const CARBONS: &str = "urn:xmpp:carbons:2";
/// Forwarded stanzas (XEP-0297).
pub const FORWARD: &str = "urn:xmpp:forward:0";
/// Block lists (XEP-0191).
pub const BLOCKING: &str = "urn:xmpp:blocking";
/// Errors of block lists (XEP-0191).
pub const BLOCKING_ERRORS: &str = "urn:xmpp:blocking:errors";
/// Reports of abuse (XEP-0377).
pub const REPORTING: &str = "urn:xmpp:reporting:1";
/// Delivery receipts (XEP-0184).
pub const RECEIPTS: &str = "urn:xmpp:receipts";
/// Displayed markers (XEP-0333).
pub const MARKERS: &str = "urn:xmpp:chat-markers:0";
/// Message archives (XEP-0313, XEP-0441).
pub const MAM: &str = "urn:xmpp:mam:2";
/// Message archives, filters by id, flipped pages and metadata (XEP-0313 §7).
pub const MAM_EXTENDED: &str = "urn:xmpp:mam:2#extended";
/// Validation of forms (XEP-0122).
pub const VALIDATE: &str = "http://jabber.org/protocol/xdata-validate";
/// Publish and subscribe (XEP-0060).
pub const PUBSUB: &str = "http://jabber.org/protocol/pubsub";
/// Publish and subscribe, what owners do (XEP-0060).
pub const PUBSUB_OWNER: &str = "http://jabber.org/protocol/pubsub#owner";
/// Publish and subscribe, what subscribers are told (XEP-0060).
pub const PUBSUB_EVENT: &str = "http://jabber.org/protocol/pubsub#event";
/// Publish and subscribe, conditions of errors (XEP-0060).
pub const PUBSUB_ERRORS: &str = "http://jabber.org/protocol/pubsub#errors";
/// Publish and subscribe, the form of a node (XEP-0060).
pub const NODE_CONFIG: &str = "http://jabber.org/protocol/pubsub#node_config";
/// Publish and subscribe, the form beside a publication (XEP-0060).
pub const PUBLISH_OPTIONS: &str = "http://jabber.org/protocol/pubsub#publish-options";
/// Entity capabilities (XEP-0115).
pub const CAPS: &str = "http://jabber.org/protocol/caps";
/// XEP-0390.
pub const CAPS2: &str = "urn:xmpp:caps";
/// XEP-0300.
pub const HASHES: &str = "urn:xmpp:hashes:2";
/// Private storage (XEP-0049).
pub const PRIVATE: &str = "jabber:iq:private";
/// Client state (XEP-0352).
pub const CSI: &str = "urn:xmpp:csi:0";
/// SASL with requests beside the proof (XEP-0388).
pub const SASL2: &str = "urn:xmpp:sasl:2";
/// Binding beside the proof (XEP-0386).
pub const BIND2: &str = "urn:xmpp:bind:0";
/// Streams over WebSockets (RFC 7395).
pub const FRAMING: &str = "urn:ietf:params:xml:ns:xmpp-framing";
/// In-band registration (XEP-0077), with rooms (XEP-0045).
pub const REGISTER: &str = "jabber:iq:register";
/// The stream feature of in-band registration (XEP-0077 §8).
pub const REGISTRATION: &str = "http://jabber.org/features/iq-register";
/// The stream feature of registration by a token (XEP-0445).
pub const REGISTRATION_BY_TOKEN: &str = "urn:xmpp:ibr-token:0";
/// Tokens before a subscription or registration (XEP-0379, XEP-0445).
pub const PREAUTH: &str = "urn:xmpp:pars:0";
/// Unique names of rooms (XEP-0307).
pub const MUC_UNIQUE: &str = "http://jabber.org/protocol/muc#unique";
/// Retracted messages (XEP-0424).
pub const RETRACT: &str = "urn:xmpp:message-retract:1";
/// Moderated messages (XEP-0425).
pub const MODERATE: &str = "urn:xmpp:message-moderate:1";
/// Ad-hoc commands (XEP-0050).
pub const COMMANDS: &str = "http://jabber.org/protocol/commands";
/// Search in directories (XEP-0055).
pub const SEARCH: &str = "jabber:iq:search";
/// Files over HTTP (XEP-0363).
pub const UPLOAD: &str = "urn:xmpp:http:upload:0";
/// Services beside the server (XEP-0215).
pub const EXTERNAL: &str = "urn:xmpp:extdisco:2";
/// Push notifications (XEP-0357).
pub const PUSH: &str = "urn:xmpp:push:0";
/// Tokens in place of a password (XEP-0484).
pub const FAST: &str = "urn:xmpp:fast:0";
/// Limits of a stream (XEP-0478).
pub const LIMITS: &str = "urn:xmpp:stream-limits:0";
/// Upgrades of mechanisms beside a proof (XEP-0480).
pub const SASL_UPGRADE: &str = "urn:xmpp:sasl:upgrade:0";
/// Upgrades of SCRAM (XEP-0480 §3).
pub const SCRAM_UPGRADE: &str = "urn:xmpp:scram-upgrade:0";
/// Clients that have access to an account (XEP-0494).
pub const CLIENT_ACCESS: &str = "urn:xmpp:cam:0";
