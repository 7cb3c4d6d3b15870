//! What the SIP half claims, that of `sip-core` and `sip-endpoint` included.

use shared_model::Spec;

use crate::{features, push, reg_event, registrar, stir, trunks};

/// Every document, with how much of it is there.
pub const SPECS: &[Spec] = &[
    Spec::rfc(3261).note("registrar, stateful forking proxy, UAS core; no S/MIME, redirects passed back"),
    Spec::rfc(3263).note("NAPTR, SRV, A and AAAA; the next target on 503, silence and refusal; no SCTP"),
    Spec::rfc(3264).note("audio of the focus"),
    Spec::rfc(3581).complete(),
    Spec::rfc(3966).note("tel URIs are read and compared (§4), global and local numbers by a plan"),
    Spec::rfc(6116)
        .note("the last records of numbers, before trunks; records that lead to others are passed over"),
    Spec::rfc(5031).note("urn:service:sos and its services, by the plan's emergency numbers; no LoST"),
    Spec::rfc(4475).complete().note("every message gets its reaction over UDP and TCP: tests/conformance"),
    Spec::rfc(5118).complete().note("every message gets its reaction: tests/conformance"),
    Spec::rfc(5954).complete(),
    Spec::rfc(4320).note("no 408 to non-INVITE late; no 1xx but 100 to non-INVITE"),
    Spec::rfc(3326).note("CANCELs say why, a caller's Reason is passed on"),
    Spec::rfc(5393).complete().note("loop detection by a hash in the branch; Max-Breadth"),
    Spec::rfc(5922).complete(),
    crate::sips::SIPS,
    Spec::rfc(5923).note("alias over TLS by certificate, over TCP by policy"),
    Spec::rfc(6026).complete(),
    Spec::rfc(7118).note("server; we do not call browsers up"),
    Spec::rfc(8489).note("Binding requests on SIP's UDP ports, without authentication"),
    Spec::rfc(8760).note("SHA-512-256, SHA-256 and MD5 challenges in a configured order"),
    registrar::PATH,
    registrar::SERVICE_ROUTE,
    registrar::CAPABILITIES,
    crate::wishes::SPEC,
    registrar::OUTBOUND,
    registrar::GRUU,
    push::SPEC,
    reg_event::SPEC,
    reg_event::GRUUS,
    reg_event::EVENTS,
    stir::SPEC,
    stir::PASSPORT,
    stir::NUMBERS,
    stir::SHAKEN,
    features::call_info::SPEC,
    features::call_info::PURPOSE,
    features::asserted_identity::SPEC,
    trunks::inbound::CALLED_PARTY,
    features::history_info::SPEC,
    features::referred_by::SPEC,
    features::session_timer::SPEC,
    features::privacy::SPEC,
];
