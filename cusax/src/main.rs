//! `cusax`: a whole CUSAX service (RFC 7081) in one binary. This crate builds and joins; it decides nothing.

mod accounts;
mod audit;
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
use command::{AppPassword, Calls, Command, ConfigCommand, Invite, Line, Phone, Profile, Room, User};

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
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
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
    let Some(change) = audit::Change::of(&line.command) else { return carry_out(line).await };
    let config = config::load(line.config.as_deref())?;
    let change = change.begin(&config).await;
    carry_out(line).await?;
    change.end(&config).await;
    Ok(())
}

async fn carry_out(line: Line) -> anyhow::Result<()> {
    let (file, json) = (line.config.as_deref(), line.json);
    match line.command {
        Command::Demo => demo::run().await,
        Command::Serve { run } => serve::run(config::load(file)?, &run, json).await,
        Command::Config(ConfigCommand::Check) => config::check(file, json),
        Command::Config(ConfigCommand::Print) => config::print(json),
        Command::Config(ConfigCommand::Zone { addresses, host }) => {
            zone::print(&config::load(file)?, &addresses, host.as_deref(), json)
        }
        Command::RenewKey => open::renew_key(&config::load(file)?).await,
        Command::User(user) => {
            let config = config::load(file)?;
            let desk = match &user {
                User::Add(_) => open::accounts(&config).await?,
                _ => open::known_accounts(&config).await?,
            };
            match user {
                User::Add(new) => accounts::add(&desk, &config.accounts(), new, json).await,
                User::List => accounts::list(&desk, json).await,
                User::Show { address } => accounts::show(&desk, &address, json).await,
                User::Password { address, password_stdin } => {
                    accounts::password(&desk, &address, password_stdin, json).await
                }
                User::Token { address, expires } => accounts::token(&desk, &address, expires, json).await,
                User::ResetLink { address, expires } => {
                    invites::reset_link(&desk, &config, &address, expires, json).await
                }
                User::Disable { address } => accounts::set_enabled(&desk, &address, false, json).await,
                User::Enable { address } => accounts::set_enabled(&desk, &address, true, json).await,
                User::Remove { address } => accounts::remove(&config, &address, json).await,
            }
        }
        Command::AppPassword(command) => {
            let desk = open::known_accounts(&config::load(file)?).await?;
            match command {
                AppPassword::Add { address, name } => accounts::add_app(&desk, &address, &name, json).await,
                AppPassword::List { address } => accounts::list_apps(&desk, &address, json).await,
                AppPassword::Remove { address, name } => {
                    accounts::remove_app(&desk, &address, &name, json).await
                }
            }
        }
        Command::ApiToken { address, name, scopes, expires } => {
            let desk = open::known_accounts(&config::load(file)?).await?;
            accounts::api_token(&desk, &address, (&name, &scopes), expires, json).await
        }
        Command::Invite(invite) => {
            let config = config::load(file)?;
            let desk = match &invite {
                Invite::Create(_) => open::accounts(&config).await?,
                _ => open::known_accounts(&config).await?,
            };
            match invite {
                Invite::Create(new) => invites::create(&desk, &config, new, json).await,
                Invite::List => invites::list(&desk, json).await,
                Invite::Revoke { id } => invites::revoke(&desk, &id, json).await,
            }
        }
        Command::Phone(phone) => {
            let config = config::load(file)?;
            let desk = open::known_accounts(&config).await?;
            match phone {
                Phone::Add { address, mac, make } => {
                    phones::add(&desk, &config, &address, (make, &mac), json).await
                }
                Phone::List { address } => phones::list(&desk, &address, json).await,
                Phone::Remove { address, mac } => phones::remove(&desk, &address, &mac, json).await,
            }
        }
        Command::Profile(profile) => {
            let config = config::load(file)?;
            match profile {
                Profile::Show { layer } => profiles::show(&open::known_store(&config).await?, &layer).await,
                Profile::Set { layer, settings } => profiles::set(&config, &layer, &settings, json).await,
            }
        }
        Command::Trace { account, since, follow } => {
            trace::run(&config::load(file)?, &account, since, trace::Until::of(follow), json).await
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
            calls::export(&open::known_store(&config::load(file)?).await?, since, form).await
        }
        Command::Import { path } => transfer::import(&config::load(file)?, &path, json).await,
        Command::Export { folder, each } => transfer::export(&config::load(file)?, &folder, each, json).await,
        Command::Room(Room::Add(room)) => rooms::add(&config::load(file)?, room, json).await,
    }
}
