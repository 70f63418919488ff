//! From the literal to the checked space.

use std::fmt::Display;

use super::{Parameter, SpaceError, StageLiteral, StriaSpaceLiteral, Transition};

/// Largest kernel side of a space.
const MAX_KERNEL: usize = 31;
/// Most blocks of a stage.
const MAX_DEPTH: usize = 64;
/// Largest width in ciphertexts or channels.
const MAX_WIDTH: usize = 1 << 16;
/// Largest number of slots: N = 2^17.
const MAX_SLOTS: usize = 1 << 16;

/// Checks every field of `space`.
pub(super) fn check(space: &StriaSpaceLiteral) -> Result<(), SpaceError> {
    let checker = Checker { space: &space.name };
    let [channels, height, width] = space.input;
    for (name, value) in [("input channels", channels), ("input height", height), ("input width", width)] {
        checker.at("input", (1..=4096).contains(&value), || format!("{name} {value} is not within 1 to 4096"))?;
    }
    checker.at("classes", (1..=MAX_WIDTH).contains(&space.classes), || {
        format!("{} is not within 1 to {MAX_WIDTH}", space.classes)
    })?;
    let largest = if space.repacked { space.stem.stride.max(1) } else { 1 };
    let (height_packed, width_packed) = (height / largest, width / largest);
    let block = (height_packed * width_packed).next_power_of_two();
    checker.at("slots", space.slots.is_power_of_two() && space.slots <= MAX_SLOTS, || {
        format!("{} is not a power of two up to {MAX_SLOTS}", space.slots)
    })?;
    checker.at("slots", space.slots >= block, || {
        format!("{} slots cannot hold one {height_packed}x{width_packed} map, which takes {block}", space.slots)
    })?;
    check_stem(space, &checker)?;
    let mut total = space.stem.stride;
    for (i, stage) in space.stages.iter().enumerate() {
        check_stage(stage, &checker, &format!("stages[{i}]"))?;
        total *= stage.stride;
        let divides = height.is_multiple_of(total) && width.is_multiple_of(total);
        checker.at(&format!("stages[{i}].stride"), divides, || {
            format!("all strides up to it make {total}, which does not divide the {height}x{width} image")
        })?;
    }
    check_head(space, &checker, (height / total, width / total))
}

fn check_stem(space: &StriaSpaceLiteral, checker: &Checker<'_>) -> Result<(), SpaceError> {
    let (stem, [_, height, width]) = (&space.stem, space.input);
    if space.repacked {
        checker.at("stem.stride", (1..=MAX_KERNEL).contains(&stem.stride), || {
            format!("{} is not within 1 to {MAX_KERNEL}", stem.stride)
        })?;
    } else {
        checker.stride("stem.stride", stem.stride)?;
    }
    let divides = height.is_multiple_of(stem.stride) && width.is_multiple_of(stem.stride);
    checker.at("stem.stride", divides, || format!("{} does not divide the {height}x{width} image", stem.stride))?;
    checker.kernels("stem.kernels", &stem.kernels)?;
    let given = checker.one_of(("stem.ciphertexts", &stem.ciphertexts), ("stem.widths", &stem.widths))?;
    checker.at("stem.ciphertexts", given, || "is missing (or give stem.widths)".to_owned())
}

fn check_stage(stage: &StageLiteral, checker: &Checker<'_>, at: &str) -> Result<(), SpaceError> {
    let field = |name: &str| format!("{at}.{name}");
    checker.stride(&field("stride"), stage.stride)?;
    checker.list(&field("depths"), &stage.depths)?;
    checker.range(&field("depths"), &stage.depths, 0, MAX_DEPTH)?;
    let (ciphertexts, widths) = (field("ciphertexts"), field("widths"));
    checker.one_of((&ciphertexts, &stage.ciphertexts), (&widths, &stage.widths))?;
    let (narrow, narrow_widths) = (field("bottlenecks"), field("bottleneck_widths"));
    let given = checker.one_of((&narrow, &stage.bottlenecks), (&narrow_widths, &stage.bottleneck_widths))?;
    checker.at(&narrow, given, || "is missing (or give bottleneck_widths)".to_owned())?;
    checker.kernels(&field("kernels"), &stage.kernels)?;
    checker.list(&field("masks"), &stage.masks.iter().map(|m| m.word()).collect::<Vec<_>>())?;
    checker.list(&field("mixing"), &stage.mixing.iter().map(|m| m.word()).collect::<Vec<_>>())?;
    checker.list(&field("inner"), &stage.inner)?;
    let transitions = field("transitions");
    match &stage.transitions {
        Some(list) => {
            checker.at(&transitions, stage.stride != 1, || "a stage of stride 1 has no transition".to_owned())?;
            checker.list(&transitions, &list.iter().copied().map(Transition::word).collect::<Vec<_>>())
        }
        None => checker.at(&transitions, stage.stride == 1, || "is missing: the stage has a stride".to_owned()),
    }
}

fn check_head(space: &StriaSpaceLiteral, checker: &Checker<'_>, last: (usize, usize)) -> Result<(), SpaceError> {
    let pools = &space.head.pools;
    checker.list("head.pools", pools)?;
    let (height, width) = last;
    let whole = height == width || !pools.contains(&0);
    checker.at("head.pools", whole, || format!("0 needs square maps, the last are {height}x{width}"))?;
    let misfit = pools.iter().find(|&&p| p > 1 && !(height.is_multiple_of(p) && width.is_multiple_of(p)));
    match misfit {
        Some(pool) => checker.fail("head.pools", format!("{pool} does not divide the last {height}x{width} maps")),
        None => Ok(()),
    }
}

/// Makes the errors of one space.
struct Checker<'a> {
    space: &'a str,
}

impl Checker<'_> {
    fn fail(&self, field: &str, why: String) -> Result<(), SpaceError> {
        Err(SpaceError::Field { space: self.space.escape_debug().to_string(), field: field.to_owned(), why })
    }

    fn at(&self, field: &str, holds: bool, why: impl Fn() -> String) -> Result<(), SpaceError> {
        if holds { Ok(()) } else { self.fail(field, why()) }
    }

    /// A list of choices: not empty, none twice.
    fn list<T: PartialEq + Display>(&self, field: &str, list: &[T]) -> Result<(), SpaceError> {
        self.at(field, !list.is_empty(), || "lists no choice".to_owned())?;
        match list.iter().enumerate().find(|(i, item)| list[..*i].contains(item)) {
            Some((_, item)) => self.fail(field, format!("lists {item} twice")),
            None => Ok(()),
        }
    }

    fn range(&self, field: &str, list: &[usize], least: usize, most: usize) -> Result<(), SpaceError> {
        match list.iter().find(|v| !(least..=most).contains(v)) {
            Some(value) => self.fail(field, format!("{value} is not within {least} to {most}")),
            None => Ok(()),
        }
    }

    fn stride(&self, field: &str, stride: usize) -> Result<(), SpaceError> {
        self.at(field, [1, 2, 4].contains(&stride), || format!("{stride} is not 1, 2 or 4"))
    }

    fn kernels(&self, field: &str, kernels: &[usize]) -> Result<(), SpaceError> {
        self.list(field, kernels)?;
        self.range(field, kernels, 1, MAX_KERNEL)?;
        match kernels.iter().find(|k| k.is_multiple_of(2)) {
            Some(kernel) => self.fail(field, format!("{kernel} is even: a kernel needs a middle")),
            None => Ok(()),
        }
    }

    /// At most one of two lists of widths; says whether there is one.
    fn one_of(
        &self,
        (first_name, first): (&str, &Option<Vec<usize>>),
        (second_name, second): (&str, &Option<Vec<usize>>),
    ) -> Result<bool, SpaceError> {
        self.at(second_name, first.is_none() || second.is_none(), || format!("{first_name} is given already"))?;
        for (name, list) in [(first_name, first), (second_name, second)] {
            if let Some(list) = list {
                self.list(name, list)?;
                self.range(name, list, 1, MAX_WIDTH)?;
            }
        }
        Ok(first.is_some() || second.is_some())
    }
}

/// The parameters of a checked space, in the order in which a plan reads them.
pub(super) fn parameters(space: &StriaSpaceLiteral) -> Vec<Parameter> {
    let mut parameters = Vec::new();
    add(&mut parameters, "stem", "kernel", &space.stem.kernels);
    add_width(&mut parameters, "stem", ["ciphertexts", "width"], [&space.stem.ciphertexts, &space.stem.widths]);
    for (i, stage) in space.stages.iter().enumerate() {
        let part = format!("stage{}", i + 1);
        add(&mut parameters, &part, "depth", &stage.depths);
        add_width(&mut parameters, &part, ["ciphertexts", "width"], [&stage.ciphertexts, &stage.widths]);
        if let Some(transitions) = &stage.transitions {
            let words: Vec<&'static str> = transitions.iter().map(|t| t.word()).collect();
            add(&mut parameters, &part, "transition", &words);
        }
        let narrow = [&stage.bottlenecks, &stage.bottleneck_widths];
        add_width(&mut parameters, &part, ["bottleneck", "bottleneck_width"], narrow);
        add(&mut parameters, &part, "kernel", &stage.kernels);
        add(&mut parameters, &part, "mask", &stage.masks.iter().map(|m| m.word()).collect::<Vec<_>>());
        add(&mut parameters, &part, "mixing", &stage.mixing.iter().map(|m| m.word()).collect::<Vec<_>>());
        add(&mut parameters, &part, "inner", &stage.inner);
    }
    add(&mut parameters, "head", "pool", &space.head.pools);
    parameters
}

fn add<T: Copy + Into<super::Choice>>(parameters: &mut Vec<Parameter>, part: &str, name: &str, choices: &[T]) {
    let choices = choices.iter().map(|&choice| choice.into()).collect();
    parameters.push(Parameter { name: format!("{part}.{name}"), choices });
}

fn add_width(parameters: &mut Vec<Parameter>, part: &str, names: [&str; 2], lists: [&Option<Vec<usize>>; 2]) {
    for (name, list) in names.into_iter().zip(lists) {
        if let Some(list) = list {
            add(parameters, part, name, list);
        }
    }
}
