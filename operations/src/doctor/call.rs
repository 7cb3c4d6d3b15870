//! Whether calls work — RFC 3261: somebody registers, calls themself, and hears themself.
//!
//! In    a temporary account and the listener `sip.udp`, from this machine.
//! Out   REGISTER with Digest (RFC 7616), INVITE through the proxy, RTP both ways as the descriptions say, BYE; then all is taken back.
//! Errors each step that does not happen in time is the finding.
//! Not here: the network between telephones and this machine, which only a telephone sees.

mod phone;

use std::net::SocketAddr;

use super::patient::Patient;
use super::{Findings, Ward};
use phone::Phone;

pub(super) async fn check(ward: &Ward, found: &mut Findings) {
    if ward.running.is_none() {
        return found.no_server();
    }
    let Ok((auth, _)) = &ward.auth else { return found.unchecked("not checked: the store does not open") };
    let Some(server) = ward.reach("sip.udp") else {
        return found.note("not tried: sip.udp listens nowhere, and this call goes over UDP", "");
    };
    let patient = match Patient::admit(auth, &ward.domain).await {
        Ok(patient) => patient,
        Err(error) => return found.unchecked(format!("no account to call with could be made: {error}")),
    };
    match call(&patient, server).await {
        Ok(()) => found.ok("an account registered, called itself and heard itself, and hung up"),
        Err(what) => found.error(what, "read what happened: the log of that moment says why"),
    }
    if let Err(error) = patient.discharge(auth).await {
        found.warning(
            format!("the account that was called with could not be removed: {error}"),
            "remove the accounts that begin with doctor-",
        );
    }
}

async fn call(patient: &Patient, server: SocketAddr) -> Result<(), String> {
    let mut phone = Phone::new(patient, server).await?;
    phone.register(60).await?;
    let called = phone.call_oneself().await;
    // Whatever became of the call, the binding goes.
    let gone = phone.register(0).await;
    called.and(gone)
}
