//! `bascule plugin …`: reads the arguments, asks [`bascule::author`], and prints what it says.

use std::convert::Infallible;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use bascule::author::dev::Target;
use bascule::author::new::Template;
use bascule::author::{self, Problem, bench, check, dev, inspect, new};
use bascule::control;
use bascule::plugin::UseSpec;
use clap::{ArgGroup, Args, Subcommand, ValueEnum};

use crate::{Failure, load};

/// What `bascule plugin` does.
#[derive(Subcommand)]
pub(crate) enum PluginCommand {
    /// Make a new plugin's crate, with a test and a README.
    New {
        /// Its name, such as by-zone; the folder that is made has the same.
        name: String,
        /// The role that its code begins with.
        #[arg(long, value_enum, default_value = "balancer")]
        role: Role,
    },
    /// In a plugin's crate: build it at each save, and put it into a running gateway's plugin folder.
    Dev(DevOptions),
    /// Say what a file is, plays and asks for; nothing of it runs.
    Inspect {
        /// The .wasm file.
        file: PathBuf,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Load a plugin as the gateway would, and call it with odd requests.
    Check {
        /// The .wasm file.
        file: PathBuf,
        #[command(flatten)]
        used: UseOptions,
    },
    /// Measure what each call of a plugin costs.
    Bench {
        /// The .wasm files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Nodes of the pool that it picks from.
        #[arg(long, default_value = "10")]
        nodes: u32,
        #[command(flatten)]
        used: UseOptions,
    },
}

/// The role that a new plugin begins with.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Role {
    /// Picks the node for each attempt.
    Balancer,
    /// Sees and edits requests and responses.
    Filter,
    /// Chooses the pool.
    Router,
    /// Learns what became of each attempt.
    Observer,
    /// Acts between requests.
    Timer,
}

#[derive(Args)]
#[command(group(ArgGroup::new("gateway").required(true).args(["config", "gateway_folder"])))]
pub(crate) struct DevOptions {
    /// The gateway's configuration file: its plugin folder and admin address are read from it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The gateway's plugin folder.
    #[arg(long, value_name = "DIR")]
    gateway_folder: Option<PathBuf>,
    /// Where its admin API listens, beside --gateway-folder.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9901", conflicts_with = "config")]
    admin: SocketAddr,
}

#[derive(Args)]
pub(crate) struct UseOptions {
    /// The plugin's configuration, as JSON.
    #[arg(long, value_name = "JSON", conflicts_with_all = ["use_", "config_file"])]
    config: Option<String>,
    /// The use whose configuration, grants and limits it gets, beside --config-file.
    #[arg(long = "use", value_name = "NAME", requires = "config_file")]
    use_: Option<String>,
    /// The gateway's configuration file, beside --use.
    #[arg(long, value_name = "FILE", requires = "use_")]
    config_file: Option<PathBuf>,
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Input(text) => Self::Input(text),
            Problem::Machine(text) => Self::Running(anyhow::Error::msg(text)),
        }
    }
}

fn about(file: &Path, problem: Problem) -> Problem {
    match problem {
        Problem::Input(text) => Problem::Input(format!("{}: {text}", file.display())),
        Problem::Machine(text) => Problem::Machine(format!("{}: {text}", file.display())),
    }
}

/// Does it.
pub(crate) fn run(command: PluginCommand) -> Result<(), Failure> {
    match command {
        PluginCommand::New { name, role } => make(&name, role),
        PluginCommand::Dev(options) => match develop(options)? {},
        PluginCommand::Inspect { file, json } => {
            let report = inspect::inspect(&author::read(&file)?).map_err(|problem| about(&file, problem))?;
            match serde_json::to_string_pretty(&report) {
                Ok(text) if json => println!("{text}"),
                _ => print!("{report}"),
            }
            Ok(())
        }
        PluginCommand::Check { file, used } => {
            let (spec, invented) = used.spec(&file)?;
            let checked = check::check(&author::read(&file)?, spec, invented);
            let checked = checked.map_err(|problem| about(&file, problem))?;
            println!("{checked}");
            if checked.is_fine() { Ok(()) } else { Err(Failure::Told) }
        }
        PluginCommand::Bench { files, nodes, used } => {
            let mut failed = None;
            for file in files {
                // One that needs a configuration is no reason to leave out the others.
                match measure(&file, nodes, &used) {
                    Ok(()) => {}
                    Err(Failure::Input(text)) => {
                        eprintln!("{text}\n");
                        failed = Some(Failure::Input("not all of them could be measured".to_owned()));
                    }
                    Err(failure) => return Err(failure),
                }
            }
            failed.map_or(Ok(()), Err)
        }
    }
}

fn measure(file: &Path, nodes: u32, used: &UseOptions) -> Result<(), Failure> {
    let benched = bench::bench(&author::read(file)?, used.spec(file)?.0, nodes);
    println!("{}: {}\n", file.display(), benched.map_err(|problem| about(file, problem))?);
    Ok(())
}

fn make(name: &str, role: Role) -> Result<(), Failure> {
    let template = match role {
        Role::Balancer => Template::Balancer,
        Role::Filter => Template::Filter,
        Role::Router => Template::Router,
        Role::Observer => Template::Observer,
        Role::Timer => Template::Timer,
    };
    new::make(Path::new(""), name, template)?;
    println!(
        "{name}/ is made: the code and its test are src/lib.rs, and README.md says the rest. Go on with\n\n  cd {name}\n  \
         cargo test\n  cargo build --release --target wasm32-wasip1\n\nor let each save build it into a running gateway:\n\n  \
         bascule plugin dev --config FILE"
    );
    Ok(())
}

fn develop(options: DevOptions) -> Result<Infallible, Failure> {
    let target = match (options.gateway_folder, options.config) {
        (None, Some(path)) => {
            let config = load(&path)?;
            let token = config.admin.token.as_ref().map(|token| token.reveal().to_owned());
            Target { folder: config.plugins.directory.value, admin: config.admin.address.value, token }
        }
        (folder, _) => Target { folder: folder.unwrap_or_default(), admin: options.admin, token: None },
    };
    let mut out = std::io::stdout();
    out.flush().map_err(anyhow::Error::from)?;
    Ok(dev::run(Path::new("."), &target, &mut out)?)
}

impl UseOptions {
    /// The use to try, and whether it was invented here: then what has to be granted is not for it to say.
    fn spec(&self, file: &Path) -> Result<(UseSpec, bool), Failure> {
        if let (Some(name), Some(path)) = (&self.use_, &self.config_file) {
            let config = load(path)?;
            let Some(used) = config.uses.get(name.as_str()) else {
                let uses: Vec<_> = config.uses.keys().map(|name| name.as_str()).collect();
                return Err(Failure::Input(format!(
                    "{} has no use \"{name}\"; there are: {}",
                    path.display(),
                    uses.join(", ")
                )));
            };
            return Ok((control::use_spec(used), false));
        }
        let name = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or("plugin").replace('_', "-");
        let mut spec = author::plain_use(&name);
        if let Some(text) = &self.config {
            spec.configuration = match serde_json::from_str::<serde_json::Map<_, _>>(text) {
                Ok(table) => serde_json::Value::Object(table).to_string(),
                Err(error) => {
                    let hint = "write a table, such as --config '{ \"key\": \"value\" }'";
                    return Err(Failure::Input(format!(
                        "the configuration is no JSON table: {error}; {hint}"
                    )));
                }
            };
        }
        Ok((spec, true))
    }
}
