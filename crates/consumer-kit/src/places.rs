//! Steps over many items of which some have failed already: each item keeps its place.

/// Takes what is well out of its places; what failed stays.
pub(crate) fn take_well<T, E>(
    items: impl IntoIterator<Item = Result<T, E>>,
) -> (Vec<T>, Vec<Result<(), E>>) {
    let items = items.into_iter();
    let mut well = Vec::with_capacity(items.size_hint().0);
    let places = items.map(|item| item.map(|item| well.push(item)));
    let places = places.collect();
    (well, places)
}

/// Puts what became of it back in its places. There must be a result for each.
pub(crate) fn put_back<T, E>(
    places: Vec<Result<(), E>>,
    results: impl IntoIterator<Item = Result<T, E>>,
) -> Vec<Result<T, E>> {
    let mut results = results.into_iter();
    let items = places.into_iter().filter_map(|place| match place {
        Ok(()) => results.next(),
        Err(error) => Some(Err(error)),
    });
    items.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_keeps_its_place() {
        let items = [Err("a"), Ok(1), Ok(2), Err("b"), Ok(3)];
        let (well, places) = take_well(items);
        assert_eq!(well, [1, 2, 3]);
        let results = put_back(places, [Ok("one"), Err("two"), Ok("three")]);
        let expected = [Err("a"), Ok("one"), Err("two"), Err("b"), Ok("three")];
        assert_eq!(results, expected);
    }
}
