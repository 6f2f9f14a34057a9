//! All pages of a plan, as the host asks for them.

use crate::{failure::Failure, migrator::Page};

/// The pages of a plan in its order, from the first one on. `plan` is asked for the page of a cursor, none for the first.
///
/// # Errors
/// That of the first page in the order of the plan that has one.
///
/// # Panics
/// If a cursor is named twice, which the host refuses.
///
/// ```
/// use cutover_plugin::{Page, testing::pages};
///
/// let plan = |cursor: Option<&str>| match cursor {
///     None => Ok(Page::default().followed_by(["a", "b"].map(String::from))),
///     Some("a") => Ok(Page::default().followed_by(Some("a2".to_owned()))),
///     Some(_) => Ok(Page::default()),
/// };
/// assert_eq!(pages(plan).expect("pages").len(), 4);
/// ```
pub fn pages(plan: impl Fn(Option<&str>) -> Result<Page, Failure>) -> Result<Vec<Page>, Failure> {
    let (mut pages, mut open, mut named) = (Vec::new(), vec![None], Vec::new());
    while let Some(cursor) = open.pop() {
        let page = plan(cursor.as_deref())?;
        for cursor in page.rest.iter().rev() {
            assert!(!named.contains(cursor), "the cursor `{cursor}` is named twice");
            named.push(cursor.clone());
            open.push(Some(cursor.clone()));
        }
        pages.push(page);
    }
    Ok(pages)
}
