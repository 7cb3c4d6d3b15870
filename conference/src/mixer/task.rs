//! The mixer's task: ticks every 20 ms, does what the focus says, tells it what it hears.

use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::legs::{Gate, LegId, Legs, Spoken};
use crate::config::Config;
use crate::media::FRAME;
use crate::media::leg::{Negotiated, RtpLeg};
use crate::metrics::MixerMetrics;

/// What the focus tells its mixer.
pub enum Command {
    /// A leg joins.
    Add(LegId, Box<RtpLeg>, Gate),
    /// A leg leaves.
    Remove(LegId),
    /// A leg's gate opens or closes.
    SetGate(LegId, Gate),
    /// A leg's offer and answer changed.
    Renegotiate(LegId, Negotiated),
}

/// What the mixer tells the focus.
pub type Heard = Spoken;

/// The handle of a running mixer; it stops when the last handle is dropped.
#[derive(Clone)]
pub struct Mixer(mpsc::Sender<Command>);

impl Mixer {
    /// Starts a mixer. What it hears goes to `notices`; a full queue drops the notice, and the next tick says it again
    /// for legs that are still silent only if the focus asks.
    pub fn start(config: &Config, metrics: MixerMetrics, notices: mpsc::Sender<Heard>) -> Self {
        let (commands, inbox) = mpsc::channel(COMMANDS);
        tokio::spawn(run(Legs::new(config.silence_timeout), metrics, notices, inbox));
        Self(commands)
    }

    /// Tells the mixer something; waits while its queue is full. False if it has stopped.
    pub async fn tell(&self, command: Command) -> bool {
        self.0.send(command).await.is_ok()
    }
}

async fn run(
    mut legs: Legs,
    metrics: MixerMetrics,
    notices: mpsc::Sender<Heard>,
    mut inbox: mpsc::Receiver<Command>,
) {
    let mut ticks = tokio::time::interval(FRAME);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    loop {
        tokio::select! {
            command = inbox.recv() => match command {
                Some(command) => {
                    obey(&mut legs, command);
                    metrics.legs_set(legs.len());
                }
                None => break,
            },
            due = ticks.tick(), if !legs.is_empty() => {
                metrics.lateness(due.elapsed());
                let counters = legs.tick(std::time::Instant::now(), |notice| {
                    // A full queue means that the focus is busy; it learns of silence from its own timers as well.
                    let _ = notices.try_send(notice);
                });
                metrics.count(counters);
            }
        }
    }
    metrics.legs_set(0);
}

fn obey(legs: &mut Legs, command: Command) {
    match command {
        Command::Add(id, leg, gate) => legs.add(id, *leg, gate),
        Command::Remove(id) => drop(legs.remove(id)),
        Command::SetGate(id, gate) => legs.set_gate(id, gate),
        Command::Renegotiate(id, negotiated) => legs.renegotiate(id, negotiated),
    }
}

/// Commands that may wait.
const COMMANDS: usize = 64;
