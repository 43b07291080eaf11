//! `florin token`: mints API keys. The key is shown once; the configuration holds its hash.

use florin_gateway::http::keys::KeyHash;
use secrecy::{ExposeSecret, SecretString};

use super::bearer;
use crate::args::Token;
use crate::failure::{Exit, Failure};

/// A new key and the hash by which it is known.
pub(crate) struct Minted {
    pub(crate) key: SecretString,
    pub(crate) hash: KeyHash,
}

/// Mints a key whose prefix says what it opens, so that a leaked one can be recognised.
pub(crate) fn mint(api: &str) -> Result<Minted, Failure> {
    let random = crate::secrets::random_hex()?;
    let key = SecretString::from(format!("florin_{api}_{}", *random));
    let hash = KeyHash::of(key.expose_secret());
    Ok(Minted { key, hash })
}

/// Prints the key to standard output and what to do with it to standard error.
pub(crate) fn run(token: &Token) -> Result<(), Failure> {
    let (api, owner, name) = match token {
        Token::Dashboard { company } => ("dashboard", "company", company),
        Token::Ops { name } => ("ops", "name", name),
        Token::Baas { grant, user } => return bearer::baas(grant, user.as_deref()),
        Token::Mobile { grant, user } => return bearer::token(grant, Some(user)),
        Token::Keys { company, issuer, out } => {
            return bearer::keys(company, issuer.as_deref().unwrap_or(company), out);
        }
    };
    if name.is_empty() || name.len() > 64 || name.contains(char::is_control) {
        return Err(Failure::new(Exit::Usage, format!("--{owner} must be 1 to 64 bytes without control characters")));
    }
    let minted = mint(api)?;
    println!("{}", minted.key.expose_secret());
    eprintln!(
        "\nThe key above is shown once. Add these lines to the configuration and restart:\n\n\
         [[{api}.keys]]\n{owner} = {}\nhash = \"{}\"",
        toml::Value::String(name.clone()),
        minted.hash
    );
    Ok(())
}
