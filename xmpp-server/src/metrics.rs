//! What is counted: streams, logins, stanzas, messages kept, rooms, other servers.

use prometheus::{IntCounter, IntGauge, Opts, Registry};

/// Children kept for the hot paths.
pub(crate) struct Metrics {
    pub(crate) connections: IntCounter,
    pub(crate) refused_connections: IntCounter,
    pub(crate) unproven: IntGauge,
    pub(crate) sessions: IntGauge,
    pub(crate) stanzas: IntCounter,
    pub(crate) offline: IntCounter,
    pub(crate) stream_errors: IntCounter,
    pub(crate) rooms: IntGauge,
    pub(crate) detached: IntGauge,
    pub(crate) resumptions: IntCounter,
    pub(crate) silent: IntCounter,
    pub(crate) half_connected: IntGauge,
    pub(crate) callable: IntGauge,
    pub(crate) uncallable: IntGauge,
    pub(crate) s2s_unproven: IntGauge,
    pub(crate) s2s_streams_in: IntGauge,
    pub(crate) s2s_streams_out: IntGauge,
    pub(crate) s2s_received: IntCounter,
    pub(crate) s2s_sent: IntCounter,
    pub(crate) s2s_failures: IntCounter,
    pub(crate) s2s_returned: IntCounter,
    pub(crate) abusers_refused: IntCounter,
    pub(crate) pushes: IntCounter,
    pub(crate) archive_forgotten: IntCounter,
    pub(crate) uploads: IntCounter,
    pub(crate) upload_bytes: IntCounter,
    pub(crate) downloads: IntCounter,
    pub(crate) components: IntGauge,
    pub(crate) component_received: IntCounter,
    pub(crate) component_sent: IntCounter,
}

impl Metrics {
    /// Registers all; an error names the metric that is there already.
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::with_opts(Opts::new(name, help))?;
            registry.register(Box::new(counter.clone())).map(|()| counter)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::with_opts(Opts::new(name, help))?;
            registry.register(Box::new(gauge.clone())).map(|()| gauge)
        };
        Ok(Self {
            connections: counter("xmpp_server_connections_total", "connections accepted")?,
            refused_connections: counter(
                "xmpp_server_refused_connections_total",
                "connections that were refused: too many proved nothing yet or log in at once, or their network is banned",
            )?,
            unproven: gauge("xmpp_server_unproven_connections", "connections before their login")?,
            sessions: gauge("xmpp_server_sessions", "bound resources")?,
            stanzas: counter("xmpp_server_stanzas_total", "stanzas received from bound resources")?,
            offline: counter(
                "xmpp_server_offline_messages_total",
                "messages kept for accounts that were away",
            )?,
            stream_errors: counter("xmpp_server_stream_errors_total", "streams ended with an error")?,
            detached: gauge(
                "xmpp_server_detached_sessions",
                "sessions that lost their connection and may be resumed",
            )?,
            callable: gauge(
                "xmpp_server_callable_accounts",
                "accounts with a session whose telephone is registered",
            )?,
            uncallable: gauge(
                "xmpp_server_uncallable_accounts",
                "accounts with a session that no call reached at the last look at all",
            )?,
            half_connected: gauge(
                "xmpp_server_half_connected_accounts",
                "accounts whose chat is there and whose telephone was lost",
            )?,
            resumptions: counter("xmpp_server_resumptions_total", "sessions resumed on another connection")?,
            silent: counter(
                "xmpp_server_silent_clients_total",
                "connections that ended since the client did not answer",
            )?,
            abusers_refused: counter(
                "xmpp_server_abusers_refused_total",
                "stanzas of listed abusers that were refused",
            )?,
            pushes: counter("xmpp_server_pushes_total", "publications to push services")?,
            archive_forgotten: counter(
                "xmpp_server_archive_forgotten_total",
                "archived messages that were removed since their time is over",
            )?,
            uploads: counter("xmpp_server_uploads_total", "files received")?,
            upload_bytes: counter("xmpp_server_upload_bytes_total", "bytes of files received")?,
            downloads: counter(
                "xmpp_server_downloads_total",
                "requests for files that were answered with one",
            )?,
            rooms: gauge("xmpp_server_rooms", "rooms that exist")?,
            s2s_unproven: gauge(
                "xmpp_server_s2s_unproven_connections",
                "connections of other servers that proved no domain",
            )?,
            s2s_streams_in: gauge("xmpp_server_s2s_streams_in", "streams that other servers opened")?,
            s2s_streams_out: gauge("xmpp_server_s2s_streams_out", "streams that we opened to other servers")?,
            s2s_received: counter("xmpp_server_s2s_received_total", "stanzas received from other servers")?,
            s2s_sent: counter("xmpp_server_s2s_sent_total", "stanzas sent to other servers")?,
            s2s_failures: counter(
                "xmpp_server_s2s_failures_total",
                "domains to which no stream could be made in time",
            )?,
            s2s_returned: counter(
                "xmpp_server_s2s_returned_total",
                "stanzas that went back: no stream, or a full queue",
            )?,
            components: gauge("xmpp_server_components", "external components that are connected")?,
            component_received: counter(
                "xmpp_server_component_received_total",
                "stanzas received from external components",
            )?,
            component_sent: counter(
                "xmpp_server_component_sent_total",
                "stanzas sent to external components",
            )?,
        })
    }
}
