//! `assent_analyzeValidators`: who can halt the chain, who can break its safety, and how much of the time a quorum is up.

use assent_genesis::analysis::{self, Analysis, GroupBy, Member, Options, is_probability};
use serde_json::Value;

use crate::{
    errors::CallError,
    methods::Api,
    params::{self, Args, invalid},
};

/// `assent_analyzeValidators`
pub(super) fn analyze(api: &Api, args: &Args) -> Result<Analysis, CallError> {
    // Until validators can be changed on the chain, every epoch has the genesis' set.
    let mut members = api.backend.genesis.members().map_err(CallError::internal)?;
    let mut options = Options::default();
    let given = args.optional(0, "options", params::object)?.unwrap_or_default();
    for (name, value) in given.iter().filter(|(_, value)| !value.is_null()) {
        match name.as_str() {
            "upProbability" => options.up_probability = probability("options.upProbability", value)?,
            "up" => take_up(&mut members, value)?,
            "group" => options.group = Some(group(value)?),
            _ => return Err(invalid("options", "upProbability, up or group", &Value::from(name.as_str()))),
        }
    }
    Ok(analysis::analyze(&members, &options))
}

fn probability(what: &str, value: &Value) -> Result<f64, CallError> {
    let number = value.as_f64().filter(|number| is_probability(*number));
    number.ok_or_else(|| invalid(what, "a probability from 0 to 1", value))
}

fn group(value: &Value) -> Result<GroupBy, CallError> {
    let label = value.as_str().and_then(|text| text.parse().ok());
    label.ok_or_else(|| invalid("options.group", "org or region", value))
}

/// Gives validators the probabilities that stand beside their names.
fn take_up(members: &mut [Member], value: &Value) -> Result<(), CallError> {
    for (name, up) in &params::object("options.up", value)? {
        let Some(member) = members.iter_mut().find(|member| member.name == *name) else {
            return Err(invalid("options.up", "names of validators", &Value::from(name.as_str())));
        };
        member.up_probability = Some(probability(&format!("options.up.{name}"), up)?);
    }
    Ok(())
}
