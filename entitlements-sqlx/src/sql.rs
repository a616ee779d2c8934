//! The statements of a dialect, each in a file of its own, or put together from files that others share. Those directly
//! under `sql/` are the same in every dialect.

macro_rules! statements {
    ($($name:ident = $first:literal $(+ $file:literal)*;)+) => {
        $(
            pub(crate) const $name: &str =
                concat!(
                    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/", $first))
                    $(, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/", $file)))*
                );
        )+

        /// Each statement with its first file.
        #[cfg(test)]
        pub(crate) const ALL: &[(&str, &str)] = &[$(($first, $name)),+];
    };
}

pub(crate) use statements;
