//! How many decimals each asset has, as the policies say that were adopted so far.

use std::collections::HashMap;

use florin_engine::{event::Event, money::Asset};

use super::words;

/// Assets and their decimals.
#[derive(Default)]
pub(super) struct Decimals(HashMap<Asset, u8>);

impl Decimals {
    /// Takes up what a policy says.
    pub(super) fn learn(&mut self, event: &Event) {
        if let Event::PolicyAdopted(adopted) = event {
            self.0.extend(adopted.policy.assets.iter().map(|asset| (asset.code, asset.decimals)));
        }
    }

    #[cfg(test)]
    pub(super) fn set(&mut self, asset: Asset, decimals: u8) {
        self.0.insert(asset, decimals);
    }

    pub(super) fn knows(&self, asset: Asset) -> bool {
        self.0.contains_key(&asset)
    }

    /// Minor units of an asset as a decimal number; as they are if no policy names it, which no money can be in.
    pub(super) fn amount(&self, asset: Asset, minor: i128) -> String {
        words::amount(minor, self.0.get(&asset).copied().unwrap_or(0))
    }
}
