use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::oneshot;

use super::*;

const BOUNDS: Bounds = Bounds { at_once: 16, pages: 100_000 };

/// A plugin whose pages are told by their cursors: it names the pages below, and `!` at the end is a failure.
fn told(tree: &BTreeMap<&str, Vec<String>>, page: &PageOf) -> Answer<String> {
    let name = page.cursor.clone().unwrap_or_else(|| format!("list {}", page.list));
    if name.ends_with('!') {
        return Err(Failure { case: FailureCase::Denied, code: None, text: name });
    }
    let rest = tree.get(name.as_str()).cloned().unwrap_or_default();
    Ok(Paged { content: name, rest })
}

/// What comes out, and the failure at the end.
async fn walked(mut pages: Pages<'_, String>) -> (Vec<String>, Option<Failure>) {
    let mut out = Vec::new();
    loop {
        match pages.next().await {
            Ok(Some(content)) => out.push(content),
            Ok(None) => return (out, None),
            Err(failure) => return (out, Some(failure)),
        }
    }
}

fn tree(named: &[(&'static str, &[&str])]) -> BTreeMap<&'static str, Vec<String>> {
    named.iter().map(|(name, rest)| (*name, rest.iter().map(|&cursor| cursor.to_owned()).collect())).collect()
}

/// Pages that are answered when the test says so.
#[derive(Default)]
struct Desk {
    asked: Mutex<Vec<(PageOf, oneshot::Sender<Answer<String>>)>>,
}

impl Desk {
    fn pages(self: &Arc<Self>, lists: usize, bounds: Bounds) -> Pages<'static, String> {
        let desk = self.clone();
        Pages::new(lists, bounds, move |page| {
            let (answer, answered) = oneshot::channel();
            desk.asked.lock().expect("no panic").push((page, answer));
            Box::pin(async move { answered.await.expect("an answer") })
        })
    }

    /// Answers the page that was asked for at this place among those not yet answered.
    fn answer(&self, index: usize, tree: &BTreeMap<&str, Vec<String>>) {
        let (page, answer) = self.asked.lock().expect("no panic").remove(index);
        answer.send(told(tree, &page)).unwrap_or_else(|_| panic!("{page:?} is waited for"));
    }

    fn open(&self) -> usize {
        self.asked.lock().expect("no panic").len()
    }
}

#[tokio::test]
async fn whatever_comes_first_the_order_is_that_of_one_after_the_other() {
    let tree = tree(&[
        ("list 0", &["a", "b", "c"]),
        ("a", &["a1", "a2"]),
        ("a2", &["a2x"]),
        ("c", &["c1"]),
        ("list 1", &["d"]),
        ("d", &["d1", "d2"]),
    ]);
    let in_order = ["list 0", "a", "a1", "a2", "a2x", "b", "c", "c1", "list 1", "d", "d1", "d2"];
    for at_once in [1, 2, 3, 16] {
        // Which of the open pages is answered next, by a generator of numbers (Knuth).
        for seed in 0..50_usize {
            let desk = Arc::new(Desk::default());
            let mut pages = desk.pages(2, Bounds { at_once, ..BOUNDS });
            let (mut out, mut dice) = (Vec::new(), seed);
            loop {
                let next = futures_util::poll!(Box::pin(pages.next()));
                match next {
                    std::task::Poll::Ready(Ok(Some(content))) => out.push(content),
                    std::task::Poll::Ready(Ok(None)) => break,
                    std::task::Poll::Ready(Err(failure)) => panic!("{failure}"),
                    std::task::Poll::Pending => {
                        assert!((1..=at_once).contains(&desk.open()), "{} are under way", desk.open());
                        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        desk.answer((dice >> 33) % desk.open(), &tree);
                        // What a test may poll without a pause is bounded.
                        tokio::task::yield_now().await;
                    }
                }
            }
            assert_eq!(out, in_order, "{at_once} at once, {seed}");
        }
    }
}

#[tokio::test]
async fn several_pages_of_one_list_are_asked_for_at_once_and_no_more_than_may_be() {
    let many: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    let tree = BTreeMap::from([("list 0", many.clone())]);
    let desk = Arc::new(Desk::default());
    let mut pages = desk.pages(1, BOUNDS);
    assert!(futures_util::poll!(Box::pin(pages.next())).is_pending());
    desk.answer(0, &tree);
    assert_eq!(pages.next().await, Ok(Some("list 0".to_owned())));
    assert!(futures_util::poll!(Box::pin(pages.next())).is_pending());
    assert_eq!(desk.open(), 16);
    // While the first one is slow, so many of the others are asked for and held, and no more.
    let mut answered = 0;
    while desk.open() > 1 {
        desk.answer(1, &tree);
        answered += 1;
        tokio::task::yield_now().await;
        assert!(futures_util::poll!(Box::pin(pages.next())).is_pending());
    }
    assert_eq!(answered, AHEAD - 1);
    desk.answer(0, &tree);
    let mut out = Vec::new();
    while let std::task::Poll::Ready(Ok(Some(content))) = futures_util::poll!(Box::pin(pages.next())) {
        out.push(content);
    }
    assert_eq!(out, many[..AHEAD]);
}

#[tokio::test]
async fn the_failure_told_is_the_first_one_in_the_order_of_the_plan() {
    let tree = tree(&[("list 0", &["a", "b!", "c!"]), ("a", &["a1!"])]);
    let desk = Arc::new(Desk::default());
    let mut pages = desk.pages(1, BOUNDS);
    assert!(futures_util::poll!(Box::pin(pages.next())).is_pending());
    desk.answer(0, &tree);
    assert_eq!(pages.next().await, Ok(Some("list 0".to_owned())));
    assert!(futures_util::poll!(Box::pin(pages.next())).is_pending());
    desk.answer(2, &tree);
    desk.answer(1, &tree);
    assert!(futures_util::poll!(Box::pin(pages.next())).is_pending(), "a failure behind the front is not yet told");
    desk.answer(0, &tree);
    assert_eq!(pages.next().await, Ok(Some("a".to_owned())));
    assert!(futures_util::poll!(Box::pin(pages.next())).is_pending());
    desk.answer(0, &tree);
    assert_eq!(pages.next().await.expect_err("a failure").text, "a1!");
}

/// A plugin that answers at once.
fn prompt(
    bounds: Bounds,
    rest: impl Fn(Option<&str>) -> Vec<String> + Send + Sync + 'static,
) -> (Pages<'static, String>, Arc<Mutex<usize>>) {
    let asked = Arc::new(Mutex::new(0));
    let count = asked.clone();
    let pages = Pages::new(1, bounds, move |page: PageOf| {
        *count.lock().expect("no panic") += 1;
        let rest = rest(page.cursor.as_deref());
        Box::pin(async move { Ok(Paged { content: page.cursor.unwrap_or_default(), rest }) })
    });
    (pages, asked)
}

fn assert_endless(failure: Option<Failure>, words: &str) {
    let failure = failure.expect("a refusal");
    assert_eq!((failure.case, failure.code.as_deref()), (FailureCase::Exhausted, Some("CUT3414")));
    assert!(failure.text.contains(words), "{}", failure.text);
}

#[tokio::test]
async fn a_page_that_names_itself_or_one_before_it_is_refused() {
    let (pages, asked) = prompt(BOUNDS, |_| vec!["again".to_owned()]);
    let (out, failure) = walked(pages).await;
    assert_eq!(out, ["", "again"]);
    assert_endless(failure, "names the same page twice");
    assert!(*asked.lock().expect("no panic") <= 3);

    let (pages, _) = prompt(BOUNDS, |cursor| cursor.is_none().then(|| ["a", "b", "a"].map(str::to_owned)).into_iter().flatten().collect());
    let (out, failure) = walked(pages).await;
    assert_eq!(out, ["", "a", "b"]);
    assert_endless(failure, "names the same page twice");
}

#[tokio::test]
async fn a_list_without_end_is_refused_after_so_many_pages() {
    let bounds = Bounds { pages: 1_000, ..BOUNDS };
    let (pages, asked) = prompt(bounds, |cursor| vec![cursor.map_or(0, |cursor| cursor.parse::<u32>().expect("a number") + 1).to_string()]);
    let (out, failure) = walked(pages).await;
    assert_eq!(out.len(), 999);
    assert_endless(failure, "more than 1000 pages");
    assert_eq!(*asked.lock().expect("no panic"), 1_000);
}

#[tokio::test]
async fn pages_that_each_name_a_thousand_more_are_refused_before_they_are_asked_for() {
    let below = |cursor: Option<&str>| (0..1_000).map(|number| format!("{}/{number}", cursor.unwrap_or_default())).collect();
    let (pages, asked) = prompt(BOUNDS, below);
    let (out, failure) = walked(pages).await;
    assert!(out.len() <= 100, "{}", out.len());
    assert_endless(failure, "more than 100000 pages");
    assert!(*asked.lock().expect("no panic") <= 100 + AHEAD);
}

#[tokio::test]
async fn cursors_that_are_long_together_are_refused() {
    let number = AtomicUsize::new(0);
    let below = move |_: Option<&str>| (0..100).map(|_| format!("{:016384}", number.fetch_add(1, Ordering::Relaxed))).collect();
    let (pages, _) = prompt(BOUNDS, below);
    let (out, failure) = walked(pages).await;
    assert!(out.len() <= 11, "{}", out.len());
    assert_endless(failure, "16777216 bytes");
}
