//! A company's issuer, honest or not, and a server that knows its keys.

use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use florin_gateway::http::tokens::KeyPair;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::{Server, florin, serve_demo};

const RSA: &str = include_str!("rsa-for-tests-only.pem");
const RSA_PUBLIC: &str = include_str!("rsa-for-tests-only.pub.pem");
const SECRET: &str = "a secret of the stories, thirty-two bytes and more";

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A part of a token.
pub(crate) fn raw(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// A public key taken for a secret.
pub(crate) fn confused(public: &str, claims: &Value) -> String {
    Signer { algorithm: Algorithm::HS256, key: EncodingKey::from_secret(public.as_bytes()), public: String::new() }
        .sign(&json!({}), claims)
}

/// Whoever signs.
pub(crate) struct Signer {
    algorithm: Algorithm,
    key: EncodingKey,
    public: String,
}

impl Signer {
    pub(crate) fn generate() -> Self {
        let pair = KeyPair::generate().unwrap();
        Self::ed25519(pair.private.expose_secret(), &pair.public)
    }

    fn ed25519(private: &str, public: &str) -> Self {
        let key = EncodingKey::from_ed_pem(private.as_bytes()).unwrap();
        Self { algorithm: Algorithm::EdDSA, key, public: public.to_owned() }
    }

    fn of_files(key: &str) -> Self {
        let [private, public] =
            [key.to_owned(), format!("{key}.pub")].map(|file| std::fs::read_to_string(file).unwrap());
        Self::ed25519(&private, &public)
    }

    /// A token with these header fields (null: without it) and claims.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        self.signed(self.algorithm, header, &claims.to_string())
    }

    pub(crate) fn sign_as(&self, algorithm: Algorithm, claims: &Value) -> String {
        self.signed(algorithm, &json!({}), &claims.to_string())
    }

    pub(crate) fn sign_raw(&self, claims: &str) -> String {
        self.signed(self.algorithm, &json!({}), claims)
    }

    fn signed(&self, algorithm: Algorithm, header: &Value, claims: &str) -> String {
        let mut all = json!({"alg": algorithm, "typ": "JWT"});
        for (name, value) in header.as_object().unwrap() {
            all[name] = value.clone();
        }
        all.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        let message = format!("{}.{}", raw(&all.to_string()), raw(claims));
        let signature = crypto::sign(message.as_bytes(), &self.key, algorithm).unwrap();
        format!("{message}.{signature}")
    }

    /// The public key as a header would have it.
    pub(crate) fn jwk(&self) -> Value {
        let base64 = self.public.lines().nth(1).unwrap();
        let der = base64::engine::general_purpose::STANDARD.decode(base64).unwrap();
        json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(&der[der.len() - 32..])})
    }
}

/// The keys of the issuers: two Ed25519, one RSA, one secret of the demo's; one Ed25519 of another company's.
pub(crate) struct Issuer {
    pub(crate) first: Signer,
    pub(crate) second: Signer,
    pub(crate) rsa: Signer,
    pub(crate) secret: Signer,
    pub(crate) other: Signer,
}

impl Issuer {
    pub(crate) const DEMO: &str = "https://login.demo.example";
    pub(crate) const OTHER: &str = "https://login.other.example";
}

/// A server that knows them.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) issuer: Issuer,
    dir: TempDir,
    http: reqwest::Client,
    environment: Vec<(String, String)>,
}

impl World {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(environment: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        let mut lines = String::new();
        for (name, company, issuer, kid) in [
            ("first.key", "demo", Issuer::DEMO, "kid = \"a\""),
            ("second.key", "demo", Issuer::DEMO, "kid = \"b\""),
            ("other.key", "other", Issuer::OTHER, ""),
        ] {
            let args = ["token", "keys", "--company", company, "--issuer", issuer, "--out", &path(name)];
            let made = florin().args(args).output().unwrap();
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            // The lines it prints are taken as they are
            lines = format!("{lines}{}{kid}\n", String::from_utf8(made.stdout).unwrap());
        }
        for (name, algorithm, content) in [("rsa.pub", "RS256", RSA_PUBLIC), ("secret", "HS256", SECRET)] {
            std::fs::write(path(name), content).unwrap();
            let issuer = Issuer::DEMO;
            let entry = format!(
                "[[tokens.keys]]\ncompany = \"demo\"\nissuer = \"{issuer}\"\nalgorithm = \"{algorithm}\"\nfile = {:?}\n",
                path(name)
            );
            lines.push_str(&entry);
        }
        std::fs::write(path("florin.toml"), lines).unwrap();
        let issuer = Issuer {
            first: Signer::of_files(&path("first.key")),
            second: Signer::of_files(&path("second.key")),
            rsa: Signer {
                algorithm: Algorithm::RS256,
                key: EncodingKey::from_rsa_pem(RSA.as_bytes()).unwrap(),
                public: RSA_PUBLIC.to_owned(),
            },
            secret: Signer {
                algorithm: Algorithm::HS256,
                key: EncodingKey::from_secret(SECRET.as_bytes()),
                public: String::new(),
            },
            other: Signer::of_files(&path("other.key")),
        };
        let environment: Vec<_> = environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let server = serve(dir.path(), &environment);
        Self { server, issuer, dir, http: reqwest::Client::new(), environment }
    }

    /// The same ledger, served anew without the first key.
    pub(crate) fn without_first_key(self) -> Self {
        let Self { server, issuer, dir, http, environment } = self;
        assert!(server.terminate().success());
        let file = dir.path().join("florin.toml");
        let lines = std::fs::read_to_string(&file).unwrap();
        let (_, rest) = lines.split_once("kid = \"a\"\n").unwrap();
        std::fs::write(&file, rest).unwrap();
        let server = serve(dir.path(), &environment);
        Self { server, issuer, dir, http, environment }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    pub(crate) fn rsa_public(&self) -> &str {
        &self.issuer.rsa.public
    }

    pub(crate) fn first_public(&self) -> String {
        std::fs::read_to_string(self.path("first.key.pub")).unwrap()
    }

    /// Lists the cards with a value of `Authorization`; status and body.
    pub(crate) async fn ask(&self, authorization: Option<&str>) -> (u16, String) {
        let request = self.http.get(self.cards());
        let request = match authorization {
            Some(value) => request.header("authorization", value),
            None => request,
        };
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, if status == 401 { answer.text().await.unwrap() } else { String::new() })
    }

    /// The same with a good token in two headers.
    pub(crate) async fn ask_twice(&self, token: &str) -> u16 {
        let request = self.http.get(self.cards()).bearer_auth(token).header("authorization", "Bearer x");
        request.send().await.unwrap().status().as_u16()
    }

    fn cards(&self) -> String {
        format!("{}/api/v1/cards", self.server.demo["mobile"]["base_url"].as_str().unwrap())
    }
}

fn serve(dir: &Path, environment: &[(String, String)]) -> Server {
    let data = dir.join("data");
    let mut command: Command = serve_demo(&data);
    command.arg("--config").arg(dir.join("florin.toml"));
    command.env("FLORIN_LIMITS_FAILED_AUTHENTICATIONS_PER_MINUTE", "0");
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    Server::start_with(&mut command, &data)
}
