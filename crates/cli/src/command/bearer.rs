//! `florin token baas`, `mobile` and `keys`: tokens for development, and key pairs to sign them with.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use florin_gateway::http::tokens::{self, KeyPair, SigningKey};
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use crate::args::Grant;
use crate::failure::{Exit, Failure};
use crate::secrets::write_private;

/// Longest life of a token that is minted here.
const EXPIRES_MAX: Duration = Duration::from_hours(366 * 24);
/// Most bytes of a name in a token.
const NAME_BYTES_MAX: usize = 255;

/// Prints a token to standard output, alone on its line.
pub(crate) fn token(grant: &Grant, user: Option<&str>) -> Result<(), Failure> {
    let issuer = grant.issuer.as_deref().unwrap_or(&grant.company);
    let names = [("company", Some(&*grant.company)), ("issuer", Some(issuer)), ("user", user)];
    for (option, name) in names.into_iter().chain([("audience", Some(&*grant.audience)), ("kid", grant.kid.as_deref())])
    {
        name.map_or(Ok(()), |name| named(option, name))?;
    }
    if grant.expires < Duration::from_secs(1) || grant.expires > EXPIRES_MAX {
        return Err(Failure::new(Exit::Usage, "--expires must be 1s to 366d"));
    }
    let token = signing_key(&grant.key)?.token(&tokens::Grant {
        issuer,
        audience: &grant.audience,
        company: &grant.company,
        subject: user,
        expires_in: grant.expires,
        kid: grant.kid.as_deref(),
    });
    let token = token.map_err(|cause| Failure::new(Exit::Other, "no token is made").because(cause))?;
    println!("{}", token.expose_secret());
    Ok(())
}

/// Prints a token for the `BaaS` API: of the company, or of one user of it, whom the server knows as `chain:address`.
pub(crate) fn baas(grant: &Grant, user: Option<&str>) -> Result<(), Failure> {
    if user.is_some_and(|user| !chain_and_address(user)) {
        let what = "--user must be CHAIN:ADDRESS: the chain's number, and 0x with 40 hex digits";
        return Err(Failure::new(Exit::Usage, what));
    }
    token(grant, user)
}

fn chain_and_address(user: &str) -> bool {
    let Some((chain, address)) = user.split_once(":0x") else { return false };
    let digits = (1..=19).contains(&chain.len()) && chain.bytes().all(|byte| byte.is_ascii_digit());
    digits && !chain.starts_with('0') && address.len() == 40 && address.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Writes a key pair to `out` and `out`.pub, and tells what to do with them.
pub(crate) fn keys(company: &str, issuer: &str, out: &Path) -> Result<(), Failure> {
    named("company", company)?;
    named("issuer", issuer)?;
    let mut public = out.as_os_str().to_owned();
    public.push(".pub");
    let public = PathBuf::from(public);
    for file in [out, &public] {
        if file.exists() {
            return Err(Failure::new(Exit::Usage, format!("{} is there already", file.display()))
                .advise("choose another name with --out, or move it away: a key that is lost cannot be made again"));
        }
    }
    let pair = KeyPair::generate().map_err(|cause| Failure::new(Exit::Other, "no key is made").because(cause))?;
    write_private(out, pair.private.expose_secret().as_bytes())?;
    fs::write(&public, &pair.public).map_err(|cause| Failure::io("write", &public, cause))?;
    let shown = fs::canonicalize(&public).unwrap_or_else(|_| public.clone());
    let text = |text: &str| toml::Value::String(text.to_owned());
    eprintln!(
        "{} signs tokens: keep it with their issuer. Add these lines to the configuration and restart:\n",
        out.display()
    );
    println!(
        "[[tokens.keys]]\ncompany = {}\nissuer = {}\nalgorithm = \"EdDSA\"\nfile = {}",
        text(company),
        text(issuer),
        text(&shown.to_string_lossy()),
    );
    Ok(())
}

/// The key of a file that nobody else may read.
fn signing_key(file: &Path) -> Result<SigningKey, Failure> {
    let mode = fs::metadata(file).map_err(|cause| Failure::io("read", file, cause))?.permissions().mode();
    if mode & 0o077 != 0 {
        let what = format!("the key file {} is open to others (mode {:03o})", file.display(), mode & 0o777);
        return Err(Failure::new(Exit::Config, what).advise("run chmod 600 on it"));
    }
    let bytes = Zeroizing::new(fs::read(file).map_err(|cause| Failure::io("read", file, cause))?);
    SigningKey::new(&bytes).map_err(|cause| {
        Failure::new(Exit::Config, format!("{} is no key to sign with", file.display()))
            .advise("make one with `florin token keys`")
            .because(cause)
    })
}

fn named(option: &str, name: &str) -> Result<(), Failure> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains(char::is_control) {
        let what = format!("--{option} must be 1 to {NAME_BYTES_MAX} bytes without control characters");
        return Err(Failure::new(Exit::Usage, what));
    }
    Ok(())
}
