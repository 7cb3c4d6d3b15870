//! `cusax`: a whole CUSAX service (RFC 7081) in one binary. This crate builds and joins; it decides nothing.

mod accounts;
mod audit;
mod bans;
mod calls;
mod command;
mod compose;
mod config;
mod demo;
mod doctor;
mod invites;
#[cfg(test)]
mod manifests;
mod open;
mod out;
mod phones;
mod profiles;
mod rooms;
mod serve;
#[cfg(test)]
mod specs;
mod trace;
mod transfer;
mod zone;

use std::process::ExitCode;

use clap::Parser;
use command::{AppPassword, Ban, Calls, Command, ConfigCommand, Invite, Line, Phone, Profile, Room, User};
use open::Ground;

/// Messages are many small pieces of short life, made by one thread and freed by another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    shared_runtime::tls::install_provider();
    let line = match Line::try_parse() {
        Ok(line) => line,
        Err(error) => {
            // Help is no error; a usage error is 2. Printing fails only when nobody reads.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    // Each event wakes a further worker to look for more, and there is none: half as many as the machine has cores, beside the
    // threads of telephones' datagrams, of mixers and of the database.
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let workers = (cores / 2).max(1);
    let runtime =
        match tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                eprintln!("cusax: cannot start: {error}");
                return ExitCode::FAILURE;
            }
        };
    match runtime.block_on(run(line)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if out::is_closed(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cusax: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Carries a command out, and notes what it changed.
async fn run(line: Line) -> anyhow::Result<()> {
    let ground = Ground::new(line.config.clone());
    let change = match audit::Change::of(&line.command) {
        Some(change) => Some(change.begin(&ground).await),
        None => None,
    };
    let done = carry_out(line, &ground).await;
    if let (Ok(made), Some(change)) = (&done, change) {
        change.end(&ground, made.as_ref()).await;
    }
    // One that fails may have done something before.
    if let Err(error) = ground.tell_timelines().await
        && done.is_ok()
    {
        eprintln!("cusax: done, and no timeline tells of it: {error:#}"); // whoever tries again would do it twice
    }
    done.map(drop)
}

/// Does it; the invitation that it makes, if it makes one.
async fn carry_out(line: Line, ground: &Ground) -> anyhow::Result<Option<shared_auth::Invite>> {
    let (file, json) = (line.config.as_deref(), line.json);
    let done = match line.command {
        Command::Demo => demo::run(json).await,
        Command::Serve { run } => serve::run(file.map(ToOwned::to_owned), &run, json).await,
        Command::Config(ConfigCommand::Check) => config::check(file, json),
        Command::Config(ConfigCommand::Print) => config::print(json),
        Command::Config(ConfigCommand::Zone { addresses, host }) => {
            zone::print(&config::load(file)?, &addresses, host.as_deref(), json)
        }
        Command::RenewKey => open::renew_key(ground, json).await,
        Command::User(user) => {
            let config = ground.config().await?;
            let desk = match &user {
                User::Add(_) => ground.accounts().await?,
                _ => ground.known_accounts().await?,
            };
            match user {
                User::Add(new) => accounts::add(desk, &config.accounts(), new, json).await,
                User::Change(user) => accounts::change(desk, user, json).await,
                User::List => accounts::list(desk, json).await,
                User::Show { address } => accounts::show(desk, &address, json).await,
                User::Password { address, password_stdin } => {
                    accounts::password(desk, &address, password_stdin, json).await
                }
                User::Token { address, expires } => accounts::token(desk, &address, expires, json).await,
                User::ResetLink { address, expires } => {
                    invites::reset_link(desk, config, &address, expires, json).await
                }
                User::Disable { address } => accounts::set_enabled(desk, &address, false, json).await,
                User::Enable { address } => accounts::set_enabled(desk, &address, true, json).await,
                User::Remove { address } => accounts::remove(ground, &address, json).await,
            }
        }
        Command::AppPassword(command) => {
            let desk = ground.known_accounts().await?;
            match command {
                AppPassword::Add { address, name, calls_alone } => {
                    accounts::add_app(desk, &address, (&name, calls_alone), json).await
                }
                AppPassword::List { address } => accounts::list_apps(desk, &address, json).await,
                AppPassword::Remove { address, name } => {
                    accounts::remove_app(desk, &address, &name, json).await
                }
            }
        }
        Command::ApiToken { address, name, scopes, expires } => {
            accounts::api_token(ground, &address, (&name, &scopes), expires, json).await
        }
        Command::Invite(invite) => {
            let config = ground.config().await?;
            match invite {
                Invite::Create(new) => {
                    let made = invites::create(ground.accounts().await?, config, new, json).await?;
                    return Ok(Some(made));
                }
                Invite::List => invites::list(ground.known_accounts().await?, json).await,
                Invite::Revoke { id } => invites::revoke(ground.known_accounts().await?, &id, json).await,
            }
        }
        Command::Ban(ban) => match ban {
            Ban::Add { who, reason, term } => bans::add(ground, (&who, &reason), term, json).await,
            Ban::List => bans::list(ground.known_accounts().await?, json).await,
            Ban::Remove { who } => bans::remove(ground, &who, json).await,
        },
        Command::Phone(phone) => {
            let (config, desk) = (ground.config().await?, ground.known_accounts().await?);
            match phone {
                Phone::Add { address, mac, make } => {
                    phones::add(desk, config, &address, (make, &mac), json).await
                }
                Phone::List { address } => phones::list(desk, &address, json).await,
                Phone::Remove { address, mac } => phones::remove(desk, &address, &mac, json).await,
            }
        }
        Command::Profile(Profile::Show { layer }) => {
            profiles::show(ground.known_store().await?, &layer).await
        }
        Command::Profile(Profile::Set { layer, settings }) => {
            profiles::set(ground, &layer, &settings, json).await
        }
        Command::Trace { about, since, follow } => {
            trace::run(&config::load(file)?, &about, since, trace::Until::of(follow), json).await
        }
        Command::Doctor { name, no_dns } => {
            let names = if no_dns { doctor::Names::Pass } else { doctor::Names::Ask };
            match name.as_deref() {
                Some("ports") => doctor::ports(&config::load(file)?, json).await,
                name => doctor::run(&config::load(file)?, name, names, json).await,
            }
        }
        Command::Calls(Calls::Export { since, csv: _ }) => {
            let form = if json { calls::Form::Json } else { calls::Form::Csv };
            calls::export(ground.known_store().await?, since, form).await
        }
        Command::Import { path } => transfer::import(ground, &path, json).await,
        Command::Export { folder, each } => transfer::export(&config::load(file)?, &folder, each, json).await,
        Command::Room(Room::Add(room)) => rooms::add(ground, room, json).await,
    };
    done.map(|()| None)
}
