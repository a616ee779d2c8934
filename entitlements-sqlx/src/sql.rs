//! The statements of a dialect, each in a file of its own. Those directly under `sql/` are the same in every dialect.

macro_rules! statements {
    ($($name:ident = $file:literal;)+) => {
        $(
            pub(crate) const $name: &str =
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/", $file));
        )+

        /// Each statement with its file.
        #[cfg(test)]
        pub(crate) const ALL: &[(&str, &str)] = &[$(($file, $name)),+];
    };
}

pub(crate) use statements;
