//! Every specification that this crate and `xmpp-core` implement, for `docs/specs.md`.

use shared_model::Spec;

use crate::features::FEATURES;

/// What stands below the table of features.
const STREAMS: &[Spec] = &[
    Spec::rfc(6120).complete(),
    Spec::rfc(7622).complete().note("domains are mapped as UTS 46 says, which takes symbols too"),
    Spec::rfc(8264).note("the classes of addresses"),
    Spec::rfc(8265).note("UsernameCaseMapped and OpaqueString, for addresses; passwords as SCRAM says, by SASLprep"),
    Spec::rfc(7395).complete(),
    Spec::rfc(8305).note("connections to other servers"),
    Spec::rfc(9525).note("certificates of other servers"),
    Spec::rfc(7590).complete(),
    Spec::xep(4, "2.13.1").complete().note("forms of ours are read and shown; what others send passes as it is"),
    Spec::xep(45, "1.35.5")
        .complete()
        .note("a moderated room keeps who has a voice for 30 days, and for 1,000 people (section 5.1)"),
    Spec::xep(82, "1.1.1").complete(),
    Spec::xep(128, "1.0.1").complete(),
    crate::component::SPEC,
    crate::muc::COIN,
    crate::voicemail::OOB,
    crate::voicemail::FILE,
    crate::voicemail::SHARING,
    Spec::xep(160, "1.0.1").complete(),
    crate::c2s::oauth::SPEC,
    crate::c2s::register::SPEC,
    crate::c2s::register::REGISTRATION,
    crate::guests::SPEC,
    crate::session::MANAGEMENT,
    Spec::xep(122, "1.0.2").note("whole numbers and their least, lists that take other values; what others send passes as it is"),
    Spec::xep(141, "1.0").note("forms to configure rooms and nodes; what others send passes as it is"),
    Spec::xep(388, "1.0.4").complete().note("tasks of XEP-0480"),
    crate::c2s::UPGRADES,
    Spec::xep(386, "1.1.0").complete(),
    crate::csi::SPEC,
    Spec::xep(115, "1.6.0").complete(),
    Spec::xep(390, "0.3.2").complete().note("without what is optional: caps optimization, gratuitous capabilities"),
    Spec::xep(478, "0.2.0").complete(),
    Spec::xep(203, "2.0").complete(),
    Spec::xep(249, "1.2").complete(),
    Spec::xep(307, "0.1").complete(),
    Spec::xep(317, "0.2").complete().note("hats of the room's call are given by the room alone"),
    Spec::xep(368, "1.1.0").complete(),
    crate::on_the_phone::SPEC,
    crate::reach::SPEC,
    crate::muc::CALL_INVITES,
    crate::muc::SEARCH,
    crate::transfer::SPEC,
    Spec::xep(410, "1.1.0").complete(),
    Spec::xep(421, "1.0.0").complete(),
    Spec::xep(85, "2.1").note("never kept for who is away, nor archived"),
    Spec::xep(184, "1.4.0").note("receipts are archived, kept and copied"),
    Spec::xep(245, "1.0").note("`/me` is text like other text, in rooms and archives too"),
    Spec::xep(308, "1.2.1").note("corrections are archived, kept and copied"),
    Spec::xep(333, "1.0.0").note("markers are archived, kept and copied; the mailbox asks for them"),
    Spec::xep(353, "0.8.0").note("archived, copied, kept and pushed like a call; between accounts here `xmpp.own_calls` may refuse or warn"),
    Spec::xep(424, "0.4.2").note("archived; tombstones in rooms"),
    Spec::xep(444, "0.2.1").note("reactions are archived, kept and copied"),
    Spec::xep(461, "0.2.1").note("replies are messages like others"),
    Spec::xep(490, "1.0.1").note("on the node of the account, which says what of a mailbox was heard"),
    Spec::xep(492, "0.2.0").note("inside bookmarks, which keep what clients put there"),
    Spec::xep(425, "0.3.0").complete(),
    Spec::xep(440, "0.4.1").complete(),
    Spec::xep(486, "0.1.0").complete(),
];

/// All of them, features first.
pub fn specs() -> Vec<Spec> {
    let features = FEATURES.iter().flat_map(|feature| feature.specs);
    features
        .chain(STREAMS)
        .chain(crate::muc::PACE)
        .chain(crate::s2s::SPECS)
        .chain(crate::c2s::bosh::SPECS)
        .copied()
        .collect()
}
