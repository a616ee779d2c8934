//! Quotas: what an entry gives of a meter.

use super::super::node::{Node, NodeKind};
use super::super::reader::{Place, Reader};
use super::super::{Anchor, EntryKind, Overage, Quota};
use super::{Limit, UNLIMITED, actions, limit};
use crate::period::Interval;
use crate::{ActionSet, Amount};

/// The percentages that raise an alert where the catalog names none.
const ALERTS: [u16; 2] = [80, 100];

/// The entry of a meter: one quota or several.
pub(super) fn meter(reader: &mut Reader, node: &Node, place: &Place<'_>) -> Option<(ActionSet, EntryKind)> {
    match &node.kind {
        NodeKind::Text(_) => {
            reader.word(node, place, "limit", &[(UNLIMITED, ())])?;
            let quota = Quota {
                limit: None,
                every: Interval::Month,
                anchor: Anchor::default(),
                over: Overage::default(),
                rollover: Amount::ZERO,
                alerts: ALERTS.into(),
            };
            Some((ActionSet::ALL, EntryKind::Meter(vec![quota])))
        }
        NodeKind::Table(_) => {
            let (actions, quota) = quota(reader, node, place)?;
            Some((actions, EntryKind::Meter(vec![quota])))
        }
        NodeKind::List(items) => quotas(reader, node, items, place),
        NodeKind::Integer(_) => {
            let message =
                "a number alone does not say per which period: write `{ limit = …, every = \"month\" }`";
            reader.wrong(node.at, place, message);
            None
        }
        _ => {
            let wanted = "`{ limit = …, every = … }`, a list of them, `\"unlimited\"` or `false` for a meter";
            reader.expected(node, place, wanted);
            None
        }
    }
}

/// Several quotas that hold at the same time.
fn quotas(
    reader: &mut Reader,
    node: &Node,
    items: &[Node],
    place: &Place<'_>,
) -> Option<(ActionSet, EntryKind)> {
    if items.is_empty() {
        reader.wrong(node.at, place, "must hold at least one quota");
        return None;
    }
    let mut all = Some((ActionSet::ALL, Vec::<Quota>::new()));
    for (index, item) in items.iter().enumerate() {
        let place = place.index(index);
        let Some((actions, quota)) = quota(reader, item, &place) else {
            all = None;
            continue;
        };
        let Some((set, quotas)) = &mut all else { continue };
        if index == 0 {
            *set = actions;
        } else if let NodeKind::Table(fields) = &item.kind
            && let Some(field) = fields.iter().find(|field| &*field.key == "actions")
        {
            let message = "the actions of parallel quotas are one set: name them in the first";
            reader.wrong(field.at, &place.key("actions"), message);
        }
        if quotas.iter().any(|other| other.every == quota.every) {
            reader.wrong(item.at, &place, format!("there is already a quota per {}", quota.every));
        }
        quotas.push(quota);
    }
    let (actions, mut quotas) = all?;
    quotas.sort_by_key(|quota| quota.every);
    Some((actions, EntryKind::Meter(quotas)))
}

fn quota(reader: &mut Reader, node: &Node, place: &Place<'_>) -> Option<(ActionSet, Quota)> {
    const KNOWN: [&str; 7] = ["limit", "every", "anchor", "over", "rollover", "alerts", "actions"];
    let fields = reader.fields(node, place, &KNOWN)?;
    let limit = limit(reader, node, fields, place);
    let every = if limit == Some(Limit(None)) && fields.get("every").is_none() {
        Some(Interval::Month)
    } else {
        let message = "needs `every`: one of hour, day, week, month, year, lifetime";
        let every = reader.need(node.at, place, fields, "every", message);
        every.and_then(|every| interval(reader, every, place))
    };
    let lifetime = every == Some(Interval::Lifetime);
    let anchor = match fields.get("anchor") {
        Some(anchor) => {
            let words = [("subscription", Anchor::Subscription), ("calendar", Anchor::Calendar)];
            let at = place.key("anchor");
            let word = reader.word(anchor, &at, "anchor", &words);
            if lifetime {
                reader.wrong(anchor.at, &at, "a lifetime has no anchor");
            }
            word
        }
        // A period without end starts nowhere in particular; one form of it keeps equal quotas equal.
        None if lifetime => Some(Anchor::Calendar),
        None => Some(Anchor::default()),
    };
    let over = match fields.get("over") {
        Some(over) => {
            let words = [("block", Overage::Block), ("allow", Overage::Allow)];
            reader.word(over, &place.key("over"), "value of `over`", &words)
        }
        None => Some(Overage::default()),
    };
    let rollover = match fields.get("rollover") {
        Some(node) => {
            let at = place.key("rollover");
            let rollover = reader.amount(node, &at, 0);
            if lifetime && rollover.is_some_and(|amount| !amount.is_zero()) {
                reader.wrong(node.at, &at, "a lifetime has no next period to roll over into");
            }
            rollover
        }
        None => Some(Amount::ZERO),
    };
    let alerts = match fields.get("alerts") {
        Some(list) => alerts(reader, list, &place.key("alerts")),
        None => Some(ALERTS.into()),
    };
    let actions = actions(reader, fields, place);
    let quota = Quota {
        limit: limit?.0,
        every: every?,
        anchor: anchor?,
        over: over?,
        rollover: rollover?,
        alerts: alerts?,
    };
    Some((actions?, quota))
}

/// The period that `every` names.
pub(super) fn interval(reader: &mut Reader, node: &Node, place: &Place<'_>) -> Option<Interval> {
    let words = Interval::ALL.map(|interval| (interval.as_str(), interval));
    reader.word(node, &place.key("every"), "period", &words)
}

fn alerts(reader: &mut Reader, node: &Node, place: &Place<'_>) -> Option<Vec<u16>> {
    let mut alerts = Some(Vec::new());
    for (index, item) in reader.list(node, place)?.iter().enumerate() {
        let place = place.index(index);
        let percent = reader.whole(item, &place, 1, 1000).and_then(|percent| u16::try_from(percent).ok());
        let (Some(percent), Some(before)) = (percent, &mut alerts) else {
            alerts = None;
            continue;
        };
        if before.last().is_some_and(|last| *last >= percent) {
            reader.wrong(item.at, &place, "the percentages must ascend");
        }
        before.push(percent);
    }
    alerts
}
