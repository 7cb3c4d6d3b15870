//! A trunk: what is configured of it, and what is known now.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus::Registry;
use shared_runtime::unix_millis;
use sip_core::Uri;
use sip_endpoint::{Endpoint, Flow, Target};

use super::config::{TrunkConfig, Written};
use super::credentials::Credentials;
use super::health::Health;
use super::metrics::{Families, TrunkMetrics};
use super::select;
use crate::numbers::{Dialled, Plan};

/// All trunks, in the order of their configuration.
pub(crate) struct Trunks(Vec<Arc<Trunk>>);

/// What was heard of a trunk last.
#[derive(Default)]
struct Heard {
    answered: Option<i64>,
    failed: Option<(i64, String)>,
}

/// One carrier.
pub(crate) struct Trunk {
    config: TrunkConfig,
    pub(crate) credentials: Option<Credentials>,
    /// Where it is, as names were looked up last.
    targets: ArcSwap<Vec<Target>>,
    health: Mutex<Health>,
    heard: Mutex<Heard>,
    /// Until when it wants to be left alone, milliseconds since 1970.
    rests: AtomicI64,
    pub(crate) metrics: TrunkMetrics,
}

impl fmt::Debug for Trunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Trunk").field(&self.config.name).finish()
    }
}

impl Trunks {
    /// The trunks of a configuration; or everything that is wrong with it.
    pub(crate) fn new(configs: &[TrunkConfig], registry: &Registry) -> Result<Self, Vec<String>> {
        let faults = Self::faults(configs);
        if !faults.is_empty() {
            return Err(faults);
        }
        if configs.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let families = Families::new(registry).map_err(|error| vec![error.to_string()])?;
        let made =
            configs.iter().map(|config| Trunk::new(config.clone(), families.of(&config.name)).map(Arc::new));
        made.collect::<Result<_, _>>().map(Self).map_err(|fault| vec![fault])
    }

    /// What is wrong with a configuration.
    pub(crate) fn faults(configs: &[TrunkConfig]) -> Vec<String> {
        let mut faults: Vec<_> = configs.iter().flat_map(TrunkConfig::faults).collect();
        for (at, config) in configs.iter().enumerate() {
            if configs[..at].iter().any(|other| other.name == config.name) {
                faults.push(format!("`sip.trunks.name`: two are called `{}`", config.name));
            }
        }
        faults
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Trunk>> {
        self.0.iter()
    }

    /// Those that take what was dialled, the first to be tried first.
    pub(crate) fn for_number(&self, dialled: &Dialled, endpoint: &Endpoint) -> Vec<Arc<Trunk>> {
        select::order(&self.0, dialled, || endpoint.random())
    }

    /// The trunk that a flow comes from: by a network of its, by an address of its, or by its certificate.
    pub(crate) fn source(&self, flow: &Flow, endpoint: &Endpoint) -> Option<&Arc<Trunk>> {
        self.0.iter().find(|trunk| trunk.is_source(flow, endpoint))
    }

    /// The trunk that has an address.
    pub(crate) fn at(&self, address: SocketAddr) -> Option<&Arc<Trunk>> {
        self.0.iter().find(|trunk| trunk.is_at(address))
    }

    /// Whether an address is a trunk's, whatever the port; of this machine, where others are too, with the port. Nobody
    /// goes there but by a number, for which the plan says what it costs.
    pub(crate) fn has(&self, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        let is_same = |target: SocketAddr| {
            target.ip().to_canonical() == ip && (!ip.is_loopback() || target.port() == address.port())
        };
        self.0.iter().any(|trunk| {
            trunk.config.networks.iter().any(|network| network.contains(ip))
                || trunk.targets.load().iter().any(|target| is_same(target.address))
        })
    }
}

impl Trunk {
    fn new(config: TrunkConfig, metrics: TrunkMetrics) -> Result<Self, String> {
        let password = match &config.password_file {
            Some(file) => std::fs::read_to_string(file).map_err(|error| error.to_string())?,
            None => String::new(),
        };
        let password = password.lines().next().unwrap_or_default().to_owned();
        let credentials = (!config.user.is_empty()).then(|| Credentials::new(config.user.clone(), password));
        let (targets, health, heard) = (ArcSwap::default(), Mutex::default(), Mutex::default());
        let rests = AtomicI64::default();
        Ok(Self { config, credentials, targets, health, heard, rests, metrics })
    }

    #[cfg(test)]
    pub(super) fn bare(config: TrunkConfig) -> Self {
        let metrics = Families::new(&Registry::new()).unwrap().of(&config.name);
        Self::new(config, metrics).unwrap()
    }

    pub(crate) fn config(&self) -> &TrunkConfig {
        &self.config
    }

    pub(crate) fn name(&self) -> &str {
        &self.config.name
    }

    /// The host of its server, as it stands in URIs.
    pub(crate) fn host(&self) -> &str {
        Uri::parse(&self.config.server).map_or("", |uri| uri.host)
    }

    /// The domain that we register in.
    pub(crate) fn registrar(&self) -> &str {
        self.config.registrar.as_deref().unwrap_or_else(|| self.host())
    }

    /// How many characters of a prefix of its fit what was dialled, if it takes that.
    pub(crate) fn takes(&self, dialled: &Dialled) -> Option<usize> {
        match dialled {
            Dialled::Number(number) => {
                let fitting =
                    self.config.prefixes.iter().filter(|prefix| number.starts_with(prefix.as_str()));
                fitting.map(String::len).max()
            }
            Dialled::Emergency(_) => self.config.emergency.then_some(0),
            Dialled::Ours(_) | Dialled::Name => None,
        }
    }

    /// The Request-URI of a number there.
    pub(crate) fn request_uri(&self, dialled: &Dialled, plan: &Plan) -> Option<String> {
        let number = match dialled {
            Dialled::Number(number) => self.written(number, plan),
            // Emergency numbers are dialled as they are: no country has them.
            Dialled::Emergency(number) => number.clone(),
            Dialled::Ours(_) | Dialled::Name => return None,
        };
        let (scheme, rest) = self.config.server.split_once(':')?;
        Some(format!("{scheme}:{number}@{rest};user=phone"))
    }

    /// A number as the carrier wants it.
    pub(crate) fn written(&self, number: &str, plan: &Plan) -> String {
        match self.config.written {
            Written::Plus => number.to_owned(),
            Written::Digits => number.trim_start_matches('+').to_owned(),
            Written::National => plan.written_nationally(number),
        }
    }

    /// Where it is; nothing before names were looked up.
    pub(crate) fn targets(&self) -> Arc<Vec<Target>> {
        self.targets.load_full()
    }

    pub(crate) fn set_targets(&self, targets: Vec<Target>) {
        self.targets.store(Arc::new(targets));
    }

    fn is_source(&self, flow: &Flow, endpoint: &Endpoint) -> bool {
        self.is_at(flow.remote) || endpoint.is_peer(flow, self.host())
    }

    fn is_at(&self, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        self.config.networks.iter().any(|network| network.contains(ip))
            || self.targets.load().iter().any(|target| {
                target.address.port() == address.port() && target.address.ip().to_canonical() == ip
            })
    }

    pub(crate) fn is_up(&self) -> bool {
        self.health().is_up()
    }

    /// Whether it is to be tried before those that are not: it is up, and did not ask for a rest.
    pub(super) fn is_ready(&self) -> bool {
        self.is_up() && self.rests.load(Ordering::Relaxed) <= unix_millis()
    }

    /// It said for how long it takes nothing (RFC 3261 §21.5.4).
    pub(crate) fn rest(&self, time: Duration) {
        let time = i64::try_from(time.min(LONGEST_REST).as_millis()).unwrap_or_default();
        self.rests.store(unix_millis() + time, Ordering::Relaxed);
    }

    /// It answered something.
    pub(crate) fn note_answered(&self) {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).answered = Some(unix_millis());
        let changed = self.health().answered();
        self.tell(changed);
    }

    /// It did not answer, or answered that it cannot; `how`, in words for the operator.
    pub(crate) fn note_failed(&self, how: impl Into<String>) {
        self.note_trouble(how);
        let changed = self.health().failed();
        self.tell(changed);
    }

    /// It refused something, and works all the same.
    pub(crate) fn note_trouble(&self, how: impl Into<String>) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.failed = Some((unix_millis(), how.into()));
    }

    /// When it answered last, and when and how it failed.
    pub(crate) fn heard(&self) -> (Option<i64>, Option<(i64, String)>) {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        (heard.answered, heard.failed.clone())
    }

    fn tell(&self, changed: Option<bool>) {
        let Some(is_up) = changed else { return };
        self.metrics.up.set(i64::from(is_up));
        if is_up {
            tracing::info!(trunk = self.name(), "the trunk is up");
        } else {
            tracing::warn!(trunk = self.name(), "the trunk is down");
        }
    }

    fn health(&self) -> std::sync::MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For how long a trunk is left alone on its word.
const LONGEST_REST: Duration = Duration::from_secs(600);
