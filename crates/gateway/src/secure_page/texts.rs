//! What the page says, in each of its languages; and which one a caller asks for.

use std::cmp::Ordering;

/// A language of the page. The codes are part of a link, which lives for a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// English, where nothing else is asked for.
    English,
    /// German.
    German,
    /// French.
    French,
}

/// Most entries of an `Accept-Language` that are looked at.
const ASKED_MAX: usize = 32;

impl Language {
    /// The language that an `Accept-Language` prefers among ours (RFC 9110, 12.5.4); `None`: it names none of them.
    pub fn asked(accept_language: &str) -> Option<Self> {
        let mut best: Option<(f32, Self)> = None;
        for entry in accept_language.split(',').take(ASKED_MAX) {
            let mut parts = entry.split(';').map(str::trim);
            let Some(language) = parts.next().and_then(Self::of_tag) else {
                continue;
            };
            let weight = parts.find_map(|part| part.strip_prefix("q="));
            let weight = weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0));
            let better = best.is_none_or(|(most, _)| weight.partial_cmp(&most) == Some(Ordering::Greater));
            if weight > 0.0 && better {
                best = Some((weight, language));
            }
        }
        best.map(|(_, language)| language)
    }

    fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.split('-').next()?;
        [Self::English, Self::German, Self::French].into_iter().find(|ours| primary.eq_ignore_ascii_case(ours.tag()))
    }

    pub(super) const fn code(self) -> u8 {
        match self {
            Self::English => 1,
            Self::German => 2,
            Self::French => 3,
        }
    }

    pub(super) const fn of_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::English),
            2 => Some(Self::German),
            3 => Some(Self::French),
            _ => None,
        }
    }

    /// Its tag, for `lang` and `Content-Language`.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
            Self::French => "fr",
        }
    }

    pub(super) const fn texts(self) -> &'static Texts {
        match self {
            Self::English => &ENGLISH,
            Self::German => &GERMAN,
            Self::French => &FRENCH,
        }
    }
}

/// A heading and a sentence.
pub(super) struct Notice {
    pub(super) title: &'static str,
    pub(super) text: &'static str,
}

/// All that is said in one language.
pub(super) struct Texts {
    pub(super) title: &'static str,
    pub(super) number: &'static str,
    pub(super) expiry: &'static str,
    pub(super) cvv: &'static str,
    pub(super) copy: &'static str,
    pub(super) copied: &'static str,
    /// What is read aloud on the copy buttons, and once they have done it: number, expiry, CVV.
    pub(super) copy_each: [&'static str; 3],
    pub(super) copied_each: [&'static str; 3],
    pub(super) copy_failed: &'static str,
    /// Around the number of seconds.
    pub(super) left: [&'static str; 2],
    pub(super) hide: &'static str,
    pub(super) hidden: Notice,
    pub(super) used: Notice,
    pub(super) unknown: Notice,
    pub(super) elsewhere: Notice,
    pub(super) unavailable: Notice,
    pub(super) busy: Notice,
}

const ENGLISH: Texts = Texts {
    title: "Card details",
    number: "Card number",
    expiry: "Valid until",
    cvv: "Security code (CVV)",
    copy: "Copy",
    copied: "Copied",
    copy_each: ["Copy card number", "Copy expiry date", "Copy security code"],
    copied_each: ["Card number copied", "Expiry date copied", "Security code copied"],
    copy_failed: "Copying did not work. Select the text and copy it yourself.",
    left: ["Hidden in ", " s"],
    hide: "Hide now",
    hidden: Notice { title: "Details hidden", text: "Ask for them again in your app if you still need them." },
    used: Notice {
        title: "This link has been used or has expired",
        text: "It works once and for one minute. Ask for a new one in your app.",
    },
    unknown: Notice { title: "This link is not valid", text: "Ask for a new one in your app." },
    elsewhere: Notice {
        title: "Nothing is shown here",
        text: "Card details appear inside the app or page that asked for them only.",
    },
    unavailable: Notice {
        title: "Details cannot be shown",
        text: "The state of this card does not allow it. Your app tells you more about it.",
    },
    busy: Notice { title: "Please try again shortly", text: "Ask for the card details again in your app." },
};

const GERMAN: Texts = Texts {
    title: "Kartendaten",
    number: "Kartennummer",
    expiry: "Gültig bis",
    cvv: "Prüfnummer (CVV)",
    copy: "Kopieren",
    copied: "Kopiert",
    copy_each: ["Kartennummer kopieren", "Ablaufdatum kopieren", "Prüfnummer kopieren"],
    copied_each: ["Kartennummer kopiert", "Ablaufdatum kopiert", "Prüfnummer kopiert"],
    copy_failed: "Das Kopieren hat nicht geklappt. Markieren und kopieren Sie den Text selbst.",
    left: ["Wird in ", " s ausgeblendet"],
    hide: "Jetzt ausblenden",
    hidden: Notice {
        title: "Kartendaten ausgeblendet",
        text: "Rufen Sie sie in Ihrer App noch einmal auf, wenn Sie sie noch brauchen.",
    },
    used: Notice {
        title: "Dieser Link ist verbraucht oder abgelaufen",
        text: "Er gilt einmal und eine Minute lang. Rufen Sie in Ihrer App einen neuen ab.",
    },
    unknown: Notice { title: "Dieser Link ist ungültig", text: "Rufen Sie in Ihrer App einen neuen ab." },
    elsewhere: Notice {
        title: "Hier wird nichts angezeigt",
        text: "Kartendaten erscheinen nur in der App oder Seite, die sie angefordert hat.",
    },
    unavailable: Notice {
        title: "Die Kartendaten können nicht angezeigt werden",
        text: "Der Zustand der Karte lässt es nicht zu. Mehr dazu zeigt Ihre App.",
    },
    busy: Notice {
        title: "Bitte versuchen Sie es gleich noch einmal",
        text: "Rufen Sie die Kartendaten in Ihrer App noch einmal auf.",
    },
};

const FRENCH: Texts = Texts {
    title: "Données de la carte",
    number: "Numéro de carte",
    expiry: "Valable jusqu’à",
    cvv: "Code de sécurité (CVV)",
    copy: "Copier",
    copied: "Copié",
    copy_each: ["Copier le numéro de carte", "Copier la date d’expiration", "Copier le code de sécurité"],
    copied_each: ["Numéro de carte copié", "Date d’expiration copiée", "Code de sécurité copié"],
    copy_failed: "La copie a échoué. Sélectionnez le texte et copiez-le vous-même.",
    left: ["Masqué dans ", " s"],
    hide: "Masquer",
    hidden: Notice {
        title: "Données masquées",
        text: "Demandez-les de nouveau dans votre application si vous en avez encore besoin.",
    },
    used: Notice {
        title: "Ce lien a déjà servi ou a expiré",
        text: "Il fonctionne une seule fois, pendant une minute. Demandez-en un nouveau dans votre application.",
    },
    unknown: Notice { title: "Ce lien n’est pas valable", text: "Demandez-en un nouveau dans votre application." },
    elsewhere: Notice {
        title: "Rien n’est affiché ici",
        text: "Les données de la carte n’apparaissent que dans l’application ou la page qui les a demandées.",
    },
    unavailable: Notice {
        title: "Les données ne peuvent pas être affichées",
        text: "L’état de la carte ne le permet pas. Votre application vous en dit plus.",
    },
    busy: Notice {
        title: "Veuillez réessayer dans un instant",
        text: "Demandez de nouveau les données de la carte dans votre application.",
    },
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preferred_language_that_there_is() {
        for (asked, language) in [
            ("de", Some(Language::German)),
            ("DE-AT, en;q=0.8", Some(Language::German)),
            ("en;q=0.4, fr-CA;q=0.9", Some(Language::French)),
            ("nl, es;q=0.9, en;q=0.1", Some(Language::English)),
            ("en, de", Some(Language::English)),
            ("de;q=0", None),
            ("de;q=x", None),
            ("german", None),
            ("*", None),
            ("", None),
        ] {
            assert_eq!(Language::asked(asked), language, "{asked}");
        }
    }

    #[test]
    fn a_code_is_its_language() {
        for language in [Language::English, Language::German, Language::French] {
            assert_eq!(Language::of_code(language.code()), Some(language));
        }
        assert_eq!(Language::of_code(0), None);
    }
}
