//! Every page with commands, each played in a folder of its own.

use crate::{block::blocks, listed::documents, player::play};

macro_rules! pages {
    ($($name:ident = $page:literal,)+) => {
        $(
            #[test]
            fn $name() {
                play($page);
            }
        )+

        /// A page that is not listed above would never be played.
        #[test]
        fn every_page_with_commands_is_played() {
            let played = [$($page),+];
            let missing: Vec<String> = documents()
                .into_iter()
                .filter(|(name, text)| !blocks(text).is_empty() && !played.contains(&name.as_str()))
                .map(|(name, _)| name)
                .collect();
            assert_eq!(missing, Vec::<String>::new());
        }
    };
}

pages! {
    introduction = "docs/src/introduction.md",
    exit_codes = "docs/src/exit-codes.md",
    codes = "docs/src/codes.md",
    tutorial = "docs/src/tutorial.md",
    write_a_workflow = "docs/src/operator/workflow.md",
    review_a_plan = "docs/src/operator/review.md",
    run_resume_roll_back = "docs/src/operator/run.md",
    when_a_run_is_stuck = "docs/src/operator/stuck.md",
    watch_a_run = "docs/src/operator/watch.md",
    keys_and_the_state_folder = "docs/src/operator/state.md",
    use_it_in_ci = "docs/src/operator/ci.md",
    ship_a_component = "docs/src/vendor/ship.md",
    readme = "README.md",
}
