#!/usr/bin/env python3
"""Make the reference tables of the test suite (tests/data/*.txt) in high precision.

The tables are oracles for the compiled code, so nothing here is shared with it.  Every value is
computed in ball arithmetic (python-flint, at least 256 bits), from the defining formulas:

X = FNR ~ Beta(FN+p, TP+p), Y = FPR ~ Beta(FP+p, TN+p) independent, E = exp(eps), D = 1-delta,
x* = D/(1+E), f = density, F = distribution function.

(1)  L = Int_0^x* f_X(x) F_Y(D-E x) dx + Int_0^x* f_Y(y) F_X(D-E y) dy - F_X(x*) F_Y(x*)
(2)  U = L with X -> 1-X and Y -> 1-Y
(3)  S = L + U (region "both") or S = L (region "below");  F = 1 - S
(4)  -dL/deps = E [ Int_0^x* x f_X(x) f_Y(D-E x) dx + Int_0^x* y f_Y(y) f_X(D-E y) dy ]
(5)  F = Int_0^1 f_X(x) [F_Y(hi(x)) - F_Y(lo(x))] dx,
     lo(x) = max(0, D-E x, (D-x)/E),  hi(x) = 1 - lo(1-x)  (hi = 1 for region "below")
(6)  S(mu) = Int_0^1 f_X(x) F_Y(Phi(-Phi^-1(x) - mu)) dx + the same with X -> 1-X, Y -> 1-Y
(7)  one-run bound of Steinke, Nasr, Jagielski (2023): see steinke_bound
(8)  one-run recursion of Mahloujifar, Melis, Chaudhuri (2024): see fdp_bound

How the integrals are done.  Panels of Gauss-Legendre quadrature with 32 nodes, each panel narrow
against the width of both densities and against the distance to their singularities.  F_Y comes
from Taylor polynomials of the density of log(y/(1-y)), integrated term by term, whose first
value is the incomplete beta function of the library.  S comes from (1) and F from (5), two
different integrals: every line is accepted only if F + S = 1 to 1e-30.

--check takes a random subset of each table and computes it again in another way: small cases by the
tanh-sinh quadrature of mpmath, others with the two classes exchanged, more bits and nodes and (except
for the largest counts) the incomplete beta function of the library at every node; see check_* below.

Numbers in the tables are C hexadecimal floating point, correctly rounded; a value outside the
range of a double is in the column of its natural logarithm.

Usage:  make_reference_tables.py [--table NAME ...] [--check] [--out DIR]
Needs:  python-flint, mpmath.
"""

import argparse
import bisect
import datetime
import itertools
import math
import os
import random
import statistics
import sys
import time
from fractions import Fraction

import mpmath
from flint import arb, arb_poly, arb_series, ctx

BITS = 256  # working precision
TERMS = 72  # Taylor terms on a panel
NODES = 32  # Gauss-Legendre nodes on a panel
DROP = 95.0  # integrands are cut where they have fallen by exp(-DROP)
HALF_MAX = 0.75  # largest half width of a panel, in logits

KEEP_GOING = False

ctx.prec = BITS
ctx.cap = TERMS


# ---------------------------------------------------------------- numbers to text and back


def to_fraction(x):
    """Midpoint of a ball as an exact fraction."""
    man, exp = x.mid().man_exp()
    man, exp = int(man), int(exp)
    return Fraction(man << exp) if exp >= 0 else Fraction(man, 1 << -exp)


def to_double(x, digits=22):
    """The double nearest to the ball; raises if the ball is not narrow enough."""
    if isinstance(x, (int, float)):
        return float(x)
    if x.is_zero():
        return 0.0
    if x.is_nan():
        raise ArithmeticError("not a number")
    if x.rel_accuracy_bits() < digits * 3.33:
        raise ArithmeticError("only %d bits: %s" % (x.rel_accuracy_bits(), x.str(20)))
    if abs(x.mid()) < arb(2) ** -1100:
        return 0.0
    return float(to_fraction(x))


def hexa(x):
    """Text of a real: float.hex of the nearest double."""
    value = to_double(x)
    return value.hex() if math.isfinite(value) else repr(value)


def log_or_inf(x):
    """log x, with log 0 = -inf as a float."""
    return float("-inf") if x.is_zero() else x.log()


def log_or_nan(x):
    """log x, with nan for a 0 that stands for a part too small to be computed."""
    return math.nan if x.is_zero() else x.log()


# ---------------------------------------------------------------- one Beta law


def sigmoid(t):
    """(1/(1+e^-t), 1/(1+e^t)), both to full relative accuracy."""
    e = (-abs(t)).exp()
    big, small = 1 / (1 + e), e / (1 + e)
    return (big, small) if t > 0 else (small, big)


class Beta:
    """Beta(a, b) in the variable s = log(x/(1-x)); log density = a log x + b log(1-x) - log B(a,b)."""

    taylor = True  # False: the library's incomplete beta function at every call

    def __init__(self, a, b):
        self.a, self.b, self.n = arb(a), arb(b), arb(a) + arb(b)
        self.fa, self.fb, self.fn = float(self.a), float(self.b), float(self.n)
        self.mode = math.log(self.fa) - math.log(self.fb)
        self.log_norm = self.n.lgamma() - self.a.lgamma() - self.b.lgamma()
        self.peak = float(self.log_density(arb(self.mode)))
        self.edges, self.sums, self.polys = [], [], {}

    def log_density(self, s):
        """Log density of s."""
        if s > 0:
            return self.log_norm - self.b * s - self.n * (-s).exp().log1p()
        return self.log_norm + self.a * s - self.n * s.exp().log1p()

    def fall(self, s):
        """How far the log density at s is below its peak (a float)."""
        return self.peak - float(self.log_density(arb(s)))

    def half_width(self, s):
        """Half width of a panel at s: small against the density's own scale there."""
        q = 1 / (1 + math.exp(min(abs(s), 700.0)))
        slope = abs(self.fa - self.fn * (1 - q)) if s > 0 else abs(self.fa - self.fn * q)
        curve = self.fn * q * (1 - q)
        return min(
            HALF_MAX, 1 / math.sqrt(curve) if curve > 0 else HALF_MAX, 3 / slope if slope > 0 else HALF_MAX
        )

    # -- Taylor panels

    def density_poly(self, centre, half):
        """Taylor polynomial of half * density(centre + half*t) in t."""
        shift = arb_series([centre, half], TERMS)
        if centre > 0:
            core = -(self.b * shift) - self.n * (1 + (-shift).exp()).log()
        else:
            core = self.a * shift - self.n * (1 + shift.exp()).log()
        return arb_poly(list((core + self.log_norm).exp() * half))

    def prepare(self, low, high):
        """Lay panels over a little more than [low, high] and tabulate F at their edges."""
        edge = low - 2 * self.half_width(low)
        edges, high = [edge], high + 2 * self.half_width(high)
        while edge < high:
            edge += 2 * min(self.half_width(edge), self.half_width(edge + 2 * self.half_width(edge)))
            edges.append(edge)
        self.edges, self.polys = edges, {}
        self.sums = [self.exact_cdf(arb(edges[0]))]

    def panel(self, k):
        """Integral of the density from the left edge of panel k, as a polynomial in t in [-1,1]."""
        if k not in self.polys:
            left, right = arb(self.edges[k]), arb(self.edges[k + 1])
            poly = self.density_poly((left + right) / 2, (right - left) / 2).integral()
            self.polys[k] = poly - poly(arb(-1))
        return self.polys[k]

    def exact_cdf(self, s):
        """F by the library's regularised incomplete beta function."""
        x, y = sigmoid(s)
        if x < y:
            return x.beta_lower(self.a, self.b, 1)
        upper = y.beta_lower(self.b, self.a, 1)
        return 1 - upper if upper < 0.75 else x.beta_lower(self.a, self.b, 1)

    def cdf(self, s):
        """F at s."""
        place = float(s)
        if not self.taylor or len(self.edges) < 2:
            return self.exact_cdf(s)
        if place < self.edges[0]:  # the panels reach so far that F is negligible here if fa is large
            return arb(0) if self.fa >= 30 else self.exact_cdf(s)
        if place >= self.edges[-1] and self.fb < 30:
            return self.exact_cdf(s)
        k = bisect.bisect_right(self.edges, place) - 1
        while len(self.sums) <= k:
            self.sums.append(self.sums[-1] + self.panel(len(self.sums) - 1)(arb(1)))
        if place >= self.edges[-1]:  # and 1-F here if fb is large
            return self.sums[-1]
        left, right = arb(self.edges[k]), arb(self.edges[k + 1])
        return self.sums[k] + self.panel(k)((2 * s - left - right) / (right - left))

    def active(self, depth):
        """The interval of s in which the log density is within depth of its peak."""
        ends = []
        for sign, power in ((-1, self.fa), (1, self.fb)):
            near, far = 0.0, 2 * depth / power + 40
            for _ in range(60):
                mid = (near + far) / 2
                near, far = (mid, far) if self.fall(self.mode + sign * mid) < depth else (near, mid)
            ends.append(self.mode + sign * far)
        return ends

    def short_series(self):
        """Below this s (-inf: none) the library's series for F is short, so panels are not needed."""
        return math.log(0.2 * (self.fa + 1) / (self.fn + self.fa)) if self.fa < 30 else -math.inf

    def mirror(self):
        """The law of 1-X."""
        return Beta(self.b, self.a)


# ---------------------------------------------------------------- quadrature on panels

_RULES = {}


def gauss_rule(count=NODES):
    """Gauss-Legendre nodes and weights on [-1, 1]."""
    if (count, ctx.prec) not in _RULES:
        _RULES[count, ctx.prec] = [arb.legendre_p_root(count, k, weight=True) for k in range(count)]
    return _RULES[count, ctx.prec]


def argmax(bound, low, high):
    """Place of the maximum of a unimodal float function."""
    for _ in range(110):
        p, q = low + 0.382 * (high - low), high - 0.382 * (high - low)
        low, high = (p, high) if bound(p) < bound(q) else (low, q)
    return (low + high) / 2


def crossing(inside, good, bad):
    """Boundary between a good and a bad place, on the bad side."""
    exact = isinstance(good, arb)
    for _ in range(260 if exact else 60):
        mid = ((good + bad) / 2).mid() if exact else (good + bad) / 2
        good, bad = (mid, bad) if inside(mid) else (good, mid)
    return bad


def ascending(points):
    """Balls in ascending order, without repetitions."""
    chosen = []
    for point in points:
        place = sum(1 for other in chosen if other < point)
        if place == len(chosen) or chosen[place] > point:
            chosen.insert(place, point)
    return chosen


def window(bound, low, high):
    """Interval outside of which the integrand is exp(-DROP) of its maximum, and the log maximum."""
    top = argmax(bound, low, high)
    level = bound(top)
    inside = lambda t: bound(t) > level - DROP
    left = low if inside(low) else crossing(inside, top, low)
    right = high if inside(high) else crossing(inside, top, high)
    return left, right, level


def integrate(function, step, points):
    """Integral between consecutive points (balls), panels no wider than step(t) just inside both ends."""
    total = arb(0)
    for start, stop in itertools.pairwise(points):
        here, inner = start, stop - (stop - start) * arb(2) ** -100
        while True:
            width = step(here if here is not start else here + (stop - start) * arb(2) ** -100)
            while True:
                wanted = step(here + width if here + width < inner else inner)
                if wanted >= 0.7 * width:
                    break
                width = max(wanted, 0.6 * width)
            there = stop if here + 1.0001 * width > inner else (here + width).mid()
            mid, half = (here + there) / 2, (there - here) / 2
            total += half * sum((w * function(mid + half * t) for t, w in gauss_rule()), arb(0))
            if there is stop:
                break
            here = there
    return total


def panel_width(law, s, slope):
    """Width in t of a panel that a law allows at s(t), |ds/dt| = slope."""
    slope = float(slope)
    return 2 * law.half_width(float(s)) / slope if slope > 1e-300 else 1e300


def near(place, ends):
    """Is place in the interval, taken 1% longer at both ends?"""
    margin = 0.01 * (ends[1] - ends[0])
    return ends[0] - margin < place < ends[1] + margin


class Line:
    """Int f_X(x(t)) K(y(t)) dx along a curve t -> (x, y), K = F_Y ("cdf") or its parameter derivative ("pdf").

    curve(t) gives (s_x, ds_x/dt, s_y, |ds_y/dt|, |ds_y/dparameter|), s = log(x/(1-x)).
    """

    def __init__(self, law_x, law_y, curve, kind):
        self.x, self.y, self.curve, self.kind = law_x, law_y, curve, kind

    def bound(self, t):
        """Log integrand, up to a bounded term, as a float."""
        s_x, jac, s_y, _, weight = self.curve(arb(t))
        value = float(self.x.log_density(s_x) + jac.log())
        if self.kind == "pdf":
            return value + float(self.y.log_density(s_y) + weight.log())
        return value - (self.y.fall(s_y) if s_y < self.y.mode else 0.0)

    def integrand(self, t):
        s_x, jac, s_y, _, weight = self.curve(t)
        value = self.x.log_density(s_x).exp() * jac
        if self.kind == "pdf":
            return value * weight * self.y.log_density(s_y).exp()
        return value * self.y.cdf(s_y)

    def step(self, t):
        s_x, jac, s_y, slope, _ = self.curve(t)
        width = panel_width(self.x, s_x, jac)
        return min(width, panel_width(self.y, s_y, slope)) if near(float(s_y), self.active) else width

    def value(self, low, high):
        """The integral over t in [low, high] (balls or floats)."""
        left, right, level = window(self.bound, float(low), float(high))
        if level < -1500:  # no effect on any number of the tables
            return arb(0)
        s_y = lambda t: float(self.curve(arb(t))[2])
        bottom, top = sorted((s_y(left), s_y(right)))
        self.active = self.y.active(DROP + max(0.0, self.y.fall(min(top, self.y.mode))))
        if self.kind == "cdf" and self.y.taylor:
            low_end = min(max(bottom, self.y.short_series()), self.active[1])
            self.y.prepare(low_end, max(low_end, min(top, self.active[1])))
        breaks = sorted(
            crossing(lambda t: s_y(t) > end, *((right, left) if s_y(right) > s_y(left) else (left, right)))
            for end in self.active
            if bottom < end < top
        )
        points = [low if left == float(low) else arb(left)] + [arb(t) for t in breaks]
        return integrate(self.integrand, self.step, [*points, high if right == float(high) else arb(right)])


# ---------------------------------------------------------------- epsilon: formulas (1) to (5)


class Region:
    """The lines of the (eps, delta) region, delta and eps being exact doubles."""

    def __init__(self, eps, delta):
        self.eps, self.delta = arb(eps), arb(delta)
        self.e, self.d = self.eps.exp(), 1 - arb(delta)
        self.corner = self.d / (1 + self.e)

    def by_x(self, t):
        """The line y = D - E x with t = log(x/(1-x)); for y >= D/2."""
        x, xc = sigmoid(t)
        y, yc = self.d - self.e * x, self.delta + self.e * x
        slope = self.e * x / (y * yc)
        return t, arb(1), (y / yc).log(), slope * xc, slope

    def by_y(self, t):
        """The same line with t = log(y/(1-y)); for y <= D/2."""
        y, yc = sigmoid(t)
        x = (self.d - y) / self.e
        jac = y * yc / (self.e * x * (1 - x))
        return (x / (1 - x)).log(), jac, t, arb(1), self.e * x / (y * yc)

    def triangle(self, law_x, law_y, kind):
        """Int_0^x* f_X(x) F_Y(D-Ex) dx, or E Int_0^x* x f_X(x) f_Y(D-Ex) dx."""
        half = self.d / (2 * self.e)
        joint = (half / (1 - half)).log()
        far = min(law_x.mode, float(joint), -float(self.eps) - 25) - 2 * DROP / law_x.fa - 40
        total = Line(law_x, law_y, self.by_x, kind).value(far, joint)
        low, high = (self.corner / (1 - self.corner)).log(), (self.d / (2 - self.d)).log()
        if self.eps > 0:
            total += Line(law_x, law_y, self.by_y, kind).value(low, high)
        return total

    def below(self, law_x, law_y):
        """L of formula (1)."""
        corner = (self.corner / (1 - self.corner)).log()
        both = law_x.exact_cdf(corner) * law_y.exact_cdf(corner)
        return self.triangle(law_x, law_y, "cdf") + self.triangle(law_y, law_x, "cdf") - both

    def slope_below(self, law_x, law_y):
        """-dL/deps, formula (4)."""
        return self.triangle(law_x, law_y, "pdf") + self.triangle(law_y, law_x, "pdf")


class Strip:
    """F by formula (5), Int f_X(x(t)) [F_Y(hi(t)) - F_Y(lo(t))] dx, or its parameter derivative ("pdf").

    curve(t) gives (s_x, ds_x/dt, low, high), s = log(x/(1-x)); low and high are
    (s_y, |ds_y/dt|, |ds_y/dparameter|), or None where lo = 0 or hi = 1.
    """

    def __init__(self, law_x, law_y, curve, kind="cdf"):
        self.x, self.y, self.yc = law_x, law_y, law_y.mirror()
        self.curve, self.kind = curve, kind

    def low(self, t):
        end = self.curve(arb(t))[2]
        return -math.inf if end is None else float(end[0])

    def high(self, t):
        end = self.curve(arb(t))[3]
        return math.inf if end is None else float(end[0])

    def bound(self, t):
        s_x, jac, *pair = self.curve(arb(t))
        value = float(self.x.log_density(s_x) + jac.log())
        if self.kind == "pdf":
            logs = [float(self.y.log_density(end[0]) + end[2].log()) for end in pair if end is not None]
            return value + max(logs, default=-1e300)
        low, high = self.low(t), self.high(t)
        return value - self.y.fall(min(max(self.y.mode, low), high))

    def integrand(self, t):
        s_x, jac, low, high = self.curve(t)
        weight = self.x.log_density(s_x).exp() * jac
        if self.kind == "pdf":
            return weight * sum(
                (self.y.log_density(end[0]).exp() * end[2] for end in (low, high) if end is not None), arb(0)
            )
        if low is not None and low[0] > self.y.mode:
            return weight * (self.yc.cdf(-low[0]) - (0 if high is None else self.yc.cdf(-high[0])))
        top = 1 if high is None else self.y.cdf(high[0])
        return weight * (top - (0 if low is None else self.y.cdf(low[0])))

    def step(self, t):
        s_x, jac, *pair = self.curve(t)
        width = panel_width(self.x, s_x, jac)
        for end in pair:
            if end is not None and near(float(end[0]), self.active):
                width = min(width, panel_width(self.y, end[0], end[1]))
        return width

    def value(self, kinks, low, high):
        """The integral over [low, high]; kinks are the places (balls) where lo or hi change form."""
        left, right, level = window(self.bound, float(low), float(high))
        if level < -5000:
            return arb("nan") if self.kind == "cdf" else arb(0)
        self.active = self.y.active(DROP + 20 + 2 * max(0.0, self.x.peak - level))
        if self.kind == "cdf":
            self.tabulate(left, right)
        first, last = low if left == float(low) else arb(left), high if right == float(high) else arb(right)
        points = [arb(first), *(k for k in kinks if left < k < right), arb(last)]
        for start, stop in list(itertools.pairwise(points)):
            shift = (stop - start) * arb(2) ** -200
            for edge in (self.low, self.high):
                for end in self.active:
                    inside = lambda t: edge(t) > end
                    if inside(start + shift) and not inside(stop - shift):
                        points.append(crossing(inside, start + shift, stop - shift))
        return integrate(self.integrand, self.step, ascending(points))

    def tabulate(self, left, right):
        """Taylor panels for F_Y and 1-F_Y over the part that is used."""
        bottom, top = max(self.low(right), self.active[0]), min(self.high(left), self.active[1])
        for law, low, high in ((self.y, bottom, top), (self.yc, -top, -bottom)):
            low_end = min(max(low, law.short_series()), high)
            law.prepare(low_end, high)


def epsilon_curve(lines, two_sided):
    """The curve of Strip for the (eps, delta) region; t = s_x."""

    def edge(x, xc):
        """(lo, 1-lo, |dlo/dx|, |dlo/deps|) or None."""
        if x <= lines.corner:
            return lines.d - lines.e * x, lines.delta + lines.e * x, lines.e, lines.e * x
        y = (xc - lines.delta) / lines.e
        return (y, 1 - y, 1 / lines.e, y) if y > 0 else None

    def end(found, area, sign):
        if found is None:
            return None
        y, yc, by_x, by_eps = found
        return sign * (y / yc).log(), by_x * area / (y * yc), by_eps / (y * yc)

    def curve(t):
        x, xc = sigmoid(t)
        high = end(edge(xc, x), x * xc, -1) if two_sided else None
        return t, arb(1), end(edge(x, xc), x * xc, 1), high

    return curve


def epsilon_strip(eps, delta, law_x, law_y, region, kind="cdf"):
    """F(eps) by formula (5), or its derivative."""
    lines = Region(eps, delta)
    if kind == "cdf" and delta == 0 and eps == 0 and region == "both":
        return arb(0)
    kinks = [(lines.corner / (1 - lines.corner)).log()]
    if delta > 0:
        kinks.append((lines.d / lines.delta).log())
    kinks = ascending(kinks + [-k for k in kinks])
    span = 2 * DROP / min(law_x.fa, law_x.fb) + 800
    curve = epsilon_curve(lines, region == "both")
    if kind == "cdf":
        return Strip(law_x, law_y, curve).value(kinks, law_x.mode - span, law_x.mode + span)
    ends = [law_x.mode - span, *kinks, law_x.mode + span]  # one bump at a time: one end, between two kinks
    lower, upper = lambda t: (*curve(t)[:3], None), lambda t: (*curve(t)[:2], None, curve(t)[3])
    parts = [(one, *places) for one in (lower, upper) for places in itertools.pairwise(ends)]
    return sum((Strip(law_x, law_y, one, kind).value([], *places) for one, *places in parts), arb(0))


def laws(fn, fp, tn, tp, prior):
    """The two posterior laws."""
    p = arb(prior)
    return Beta(fn + p, tp + p), Beta(fp + p, tn + p)


class precision:
    """Context: a working precision in bits."""

    def __init__(self, bits):
        self.bits = bits

    def __enter__(self):
        self.saved, ctx.prec = ctx.prec, self.bits

    def __exit__(self, *_):
        ctx.prec = self.saved


def epsilon_survival(case, eps):
    """S by (1) to (3)."""
    fn, fp, tn, tp, prior, delta, region = case
    law_x, law_y = laws(fn, fp, tn, tp, prior)
    lines = Region(eps, delta)
    total = lines.below(law_x, law_y)
    return total if region == "below" else total + lines.below(law_x.mirror(), law_y.mirror())


def epsilon_density(case, eps):
    """f by (4)."""
    fn, fp, tn, tp, prior, delta, region = case
    law_x, law_y = laws(fn, fp, tn, tp, prior)
    lines = Region(eps, delta)
    total = lines.slope_below(law_x, law_y)
    return total if region == "below" else total + lines.slope_below(law_x.mirror(), law_y.mirror())


def epsilon_cdf(case, eps):
    """F by (5)."""
    fn, fp, tn, tp, prior, delta, region = case
    with precision(BITS + int(1.5 * float(eps)) + 10):
        return epsilon_strip(eps, delta, *laws(fn, fp, tn, tp, prior), region)


# ---------------------------------------------------------------- table: epsilon_posterior

EXAMPLES = [  # (fn, fp, tn, tp), delta
    ((0, 512, 1, 487), 1e-5),
    ((10, 5, 95, 90), 1e-5),
    ((3, 2, 18, 17), 0.0),
    ((0, 0, 50, 50), 1e-5),
    ((45, 48, 52, 55), 1e-5),
    ((400, 2, 498, 100), 1e-5),
    ((80, 85, 15, 20), 1e-5),
    ((30, 20, 480, 470), 1e-2),
    ((400000, 10000, 990000, 600000), 1e-6),
    ((480000000, 470000000, 530000000, 520000000), 1e-10),
]
LEVELS = [1e-4, 0.025, 0.5, 0.975, 1 - 1e-4]
DELTAS = [0.0, 1e-15, 1e-10, 1e-5, 1e-2, 0.03, 0.3]
RATES = [(0.5, 0.5), (0.1, 0.1), (0.9, 0.03), (1e-3, 1e-6), (0.0, 0.0)]
SIZES = [1, 10, 100, 1000, 10**5, 10**6, 10**8, 10**9]


def counts(x, y, size_x, size_y):
    """(fn, fp, tn, tp) at error rates x, y."""
    fn, fp = int(x * size_x), int(y * size_y)
    return fn, fp, size_y - fp, size_x - fn


def sampled_quantiles(case, levels, draws=40000):
    """Rough quantiles of the posterior of eps by simulation (only to place the test points)."""
    fn, fp, tn, tp, prior, delta, region = case
    rng = random.Random(repr(case))
    values = []
    for _ in range(draws):
        x, y = rng.betavariate(fn + prior, tp + prior), rng.betavariate(fp + prior, tn + prior)
        logs = [(1 - delta - y, x), (1 - delta - x, y)]
        if region == "both":
            logs += [(y - delta, 1 - x), (x - delta, 1 - y)]
        values.append(max([0.0] + [math.log(p) - math.log(max(q, 1e-300)) for p, q in logs if p > 0]))
    values.sort()
    return [float("%.13g" % values[min(draws - 1, int(level * draws))]) for level in levels]


def quantile_points(case, levels):
    """(case, eps) at rough quantiles, without those at 0."""
    return [(case, eps) for eps in sampled_quantiles(case, levels) if eps > 0]


def example_cases():
    for cells, delta in EXAMPLES:
        case = (*cells, 0.5, delta, "both")
        yield from ((case, float(eps)) for eps in (0, 0.5, 1, 2, 4, 8, 12))
        yield from quantile_points(case, LEVELS)


def stress_cases():
    """Error rates by sizes, deltas in turn; then unbalanced, mirrored and other priors."""
    turn = 0
    for rates in RATES:
        for size in SIZES:
            for part in (0, 1, 2):
                region = "below" if turn % 3 == 2 else "both"
                case = (*counts(*rates, size, size), 0.5, DELTAS[turn % 7], region)
                yield from quantile_points(case, [LEVELS[(turn + part) % 5]])
                turn += 1
    for rates in RATES:
        for sizes in ((10, 10**9), (10**9, 10), (1, 10**6)):
            fn, fp, tn, tp = counts(*rates, *sizes)
            case = (fn, fp, tn, tp, 0.5, DELTAS[turn % 7], "both")
            yield from quantile_points(case, [0.025, 0.975])
            flipped = (tp, tn, fp, fn, 0.5, DELTAS[(turn + 3) % 7], "both")
            yield from quantile_points(flipped, [0.5])
            turn += 1
    for prior in (1.0, 0.1):
        for cells in ((3, 2, 18, 17), (0, 0, 50, 50), (90, 95, 5, 10), (10**5, 10**4, 10**6, 10**6)):
            yield from quantile_points((*cells, prior, 1e-5, "both"), [0.025, 0.5, 0.975])


def tail_cases():
    """Deep tails of S and F, very large and very small eps."""
    for cells, delta in (
        ((10, 5, 95, 90), 1e-5),
        ((3, 2, 18, 17), 0.0),
        ((400, 2, 498, 100), 0.01),
        ((1, 1, 9, 9), 1e-5),
        ((30, 20, 480, 470), 1e-10),
        ((17, 18, 2, 3), 1e-5),
    ):
        for log_s in (60, 200, 640):
            yield (*cells, 0.5, delta, "both"), round(log_s / (min(cells) + 0.5), 2)
    for rates in RATES[:3]:
        for size in (1000, 10**6, 10**9):
            case = (*counts(*rates, size, size), 0.5, 1e-5, "both" if size < 10**9 else "below")
            low, mid, high = sampled_quantiles(case, [0.025, 0.5, 0.975])
            for score in (-34, -15, 12, 35):
                eps = float("%.13g" % (mid + score * (high - low) / 3.92))
                if eps > 0:
                    yield case, eps
    for size in (1, 50, 10**6, 10**9):
        for eps in (30.0, 100.0, 300.0, 650.0, 700.0, 1000.0):
            yield (0, 0, size, size, 0.5, 1e-5 if size < 10**9 else 0.0, "both"), eps
    for cells in ((3, 2, 18, 17), (45, 48, 52, 55), (0, 0, 50, 50), (480000, 470000, 530000, 520000)):
        for eps in (1e-12, 1e-6, 1e-3):
            for delta, region in ((0.0, "both"), (1e-10, "both"), (0.0, "below")):
                yield (*cells, 0.5, delta, region), eps


def epsilon_row(case, eps):
    """One line: F, log F, S, log S, f, log f."""
    cdf, survival, density = epsilon_cdf(case, eps), epsilon_survival(case, eps), epsilon_density(case, eps)
    deep = cdf.is_nan()  # F below exp(-5000)
    if deep:
        cdf = arb(0)
    if not abs(cdf + survival - 1) < arb("1e-30"):
        raise ArithmeticError("F+S-1 = %s for %r at %r" % ((cdf + survival - 1).str(5), case, eps))
    log_cdf = math.nan if deep else (-survival).log1p() if survival < 0.5 else log_or_inf(cdf)
    log_survival = (-cdf).log1p() if cdf < 0.5 else log_or_nan(survival)
    values = cdf, log_cdf, survival, log_survival, density, log_or_nan(density)
    return " ".join(
        [" ".join(map(str, case[:4])), case[4].hex(), case[5].hex(), case[6], eps.hex()]
        + [hexa(v) for v in values]
    )


def rows(function, cases):
    """Lines for all cases; a line that fails its own check is reported, and is an error unless --keep-going."""
    for arguments in cases:
        try:
            yield function(*arguments)
        except ArithmeticError as error:
            if not KEEP_GOING:
                raise
            print("left out: %s" % error, file=sys.stderr, flush=True)


def table_epsilon_posterior():
    """fn fp tn tp prior delta region eps F logF S logS f logf

    F, S: distribution function and survival function of the posterior of eps; f: density.
    nan: logarithm below -1400, not tabulated."""
    for source in (example_cases, stress_cases, tail_cases):
        yield from rows(epsilon_row, source())


# ---------------------------------------------------------------- quantiles


def solve_quantile(parts, level, start):
    """Root of F = level by Newton's method in (log t, log F) or (log t, log S).

    parts(t, tail) gives (F if tail is "cdf" else S, density) at t."""
    tail, target = ("cdf", arb(level)) if level < 0.5 else ("survival", 1 - arb(level))
    t, sign = arb(start), 1 if tail == "cdf" else -1
    for _ in range(60):
        value, density = parts(t, tail)
        step = -(value / target).log() * value / (sign * density * t)
        t = (t * max(min(step, arb(0.7)), arb(-0.7)).exp()).mid()
        if abs(step) < arb("1e-14"):  # quadratic convergence: the next error is below 1e-25
            return t
    raise ArithmeticError("no convergence at level %r" % level)


def epsilon_quantile(case, level, start):
    """F^-1(level) for the posterior of eps; 0 inside the atom."""
    _fn, _fp, _tn, _tp, _prior, delta, region = case
    if (delta > 0 or region == "below") and epsilon_cdf(case, 0.0) >= level:
        return arb(0)
    evaluate = {"cdf": epsilon_cdf, "survival": epsilon_survival}
    return solve_quantile(lambda t, tail: (evaluate[tail](case, t), epsilon_density(case, t)), level, start)


def quantile_cases():
    """(case, level) of table epsilon_posterior_quantiles."""
    for cells, delta in EXAMPLES:
        for level in (0.025, 0.05, 0.5, 0.95, 0.975, 1e-6, 1 - 1e-6):
            yield (*cells, 0.5, delta, "both"), level
    for turn, size in enumerate((1, 10, 10**4, 10**6, 10**9)):
        for level in (0.025, 0.975, 1e-6, 1 - 1e-6):
            yield (0, 0, size, size, 0.5, DELTAS[turn], "both"), level
    turn = 0
    for rates in RATES[:4]:
        for size in (1, 1000, 10**6, 10**9):
            for level in ((0.05, 0.95), (1e-4, 0.5))[turn % 2]:
                region = "below" if turn % 4 > 1 else "both"
                yield (*counts(*rates, size, size), 0.5, DELTAS[(turn + 1) % 7], region), level
            turn += 1
    for cells in ((3, 2, 18, 17), (0, 0, 50, 50), (50, 50, 50, 50), (80, 85, 15, 20)):
        for region, prior in (("below", 0.5), ("both", 1.0), ("both", 0.1)):
            yield (*cells, prior, 0.03, region), 0.05


def quantile_row(case, level):
    start = max(1e-6, sampled_quantiles(case, [min(max(level, 2e-4), 1 - 2e-4)])[0])
    root = epsilon_quantile(case, level, start)
    return " ".join(
        [" ".join(map(str, case[:4])), case[4].hex(), case[5].hex(), case[6], level.hex(), hexa(root)]
    )


def table_epsilon_posterior_quantiles():
    """fn fp tn tp prior delta region level eps

    eps: quantile of the posterior of eps, F(eps) = level; 0 where F(0) >= level."""
    yield from rows(quantile_row, quantile_cases())


# ---------------------------------------------------------------- mu: formula (6)


def normal_logit(z):
    """log(Phi(z)/Phi(-z)) and its derivative phi(z) / (Phi(z) Phi(-z))."""
    small = (abs(z) / arb(2).sqrt()).erfc() / 2
    big = 1 - small
    ratio = (big / small).log()
    return ratio if z > 0 else -ratio, (-z * z / 2).exp() / (2 * arb.pi()).sqrt() / (small * big)


def mu_line(law_x, law_y, mu, kind):
    """Int f_X(x) F_Y(Phi(-Phi^-1(x) - mu)) dx with x = Phi(z), or minus its derivative in mu."""

    def curve(z):
        s_x, jac = normal_logit(z)
        s_y, slope = normal_logit(-z - mu)
        return s_x, jac, s_y, slope, slope

    span = 2 * math.sqrt(2 * DROP / min(law_x.fa, law_x.fb) + 400) + float(mu)
    return Line(law_x, law_y, curve, kind).value(-span, span)


def mu_strip(law_x, law_y, mu, region):
    """F(mu) = Int f_X(x) [F_Y(Phi(-Phi^-1(x) + mu)) - F_Y(Phi(-Phi^-1(x) - mu))] dx."""

    def curve(z):
        s_x, jac = normal_logit(z)
        low, slope_low = normal_logit(-z - mu)
        high, slope_high = normal_logit(mu - z)
        ends = (low, slope_low, slope_low), (high, slope_high, slope_high)
        return s_x, jac, ends[0], ends[1] if region == "both" else None

    span = 2 * math.sqrt(2 * DROP / min(law_x.fa, law_x.fb) + 400) + float(mu)
    return Strip(law_x, law_y, curve).value([], -span, span)


def mu_sum(case, mu, kind):
    """S by (6) or the density."""
    fn, fp, tn, tp, prior, region = case
    law_x, law_y = laws(fn, fp, tn, tp, prior)
    total = mu_line(law_x, law_y, arb(mu), kind)
    return total if region == "below" else total + mu_line(law_x.mirror(), law_y.mirror(), arb(mu), kind)


def mu_cdf(case, mu):
    fn, fp, tn, tp, prior, region = case
    return mu_strip(*laws(fn, fp, tn, tp, prior), arb(mu), region)


def mu_samples(case, levels, draws=20000):
    """Rough quantiles of the posterior of mu by simulation (only to place the test points)."""
    fn, fp, tn, tp, prior, region = case
    rng, inverse, values = random.Random(repr(case)), statistics.NormalDist().inv_cdf, []
    for _ in range(draws):
        x, y = rng.betavariate(fn + prior, tp + prior), rng.betavariate(fp + prior, tn + prior)
        x, y = (min(max(v, 1e-300), 1 - 1e-16) for v in (x, y))
        mu = -inverse(y) - inverse(x)
        values.append(abs(mu) if region == "both" else max(0.0, mu))
    values.sort()
    return [float("%.13g" % values[min(draws - 1, int(level * draws))]) for level in levels]


def mu_cases():
    """(case, mu) at fixed places and near the quantiles."""
    cells = [c for c, _ in EXAMPLES] + [
        (0, 0, 1, 1),
        (0, 0, 10, 10),
        (0, 0, 10**6, 10**6),
        (90, 95, 5, 10),
        (0, 3, 10**6, 10),
        (10**7, 10**7, 9 * 10**7, 9 * 10**7),
    ]
    for turn, four in enumerate(cells):
        case = (*four, 0.5, "below" if turn % 4 == 3 else "both")
        if sum(four) < 10**4:
            yield from ((case, mu) for mu in (0.5, 1.0, 2.0, 4.0, 8.0))
        yield from ((case, mu) for mu in mu_samples(case, [1e-3, 0.025, 0.5, 0.975, 0.999]) if mu > 0)
    for four in ((3, 2, 18, 17), (1, 0, 8, 9)):
        for prior in (1.0, 0.1):
            yield (*four, prior, "both"), 1.5
            yield (*four, prior, "below"), 3.0
    yield (10, 5, 95, 90, 0.5, "both"), 12.0
    yield (0, 0, 50, 50, 0.5, "both"), 25.0


def mu_row(case, mu):
    cdf, survival, density = mu_cdf(case, mu), mu_sum(case, mu, "cdf"), mu_sum(case, mu, "pdf")
    if cdf.is_nan():
        cdf = arb(0)
    if not abs(cdf + survival - 1) < arb("1e-30"):
        raise ArithmeticError("F+S-1 = %s for %r at %r" % ((cdf + survival - 1).str(5), case, mu))
    log_density = log_or_nan(density)
    return " ".join(
        [" ".join(map(str, case[:4])), case[4].hex(), case[5], mu.hex()]
        + [hexa(v) for v in (cdf, survival, density, log_density)]
    )


def table_mu_posterior():
    """fn fp tn tp prior region mu F S f logf

    F, S, f: distribution function, survival function and density of the posterior of mu (formula 6)."""
    yield from rows(mu_row, mu_cases())


def mu_quantile_cases():
    for cells, alpha in (((10, 5, 95, 90), 0.1), ((400, 2, 498, 100), 0.05), ((3, 2, 18, 17), 0.05)):
        yield (*cells, 0.5, "both"), alpha / 2
        yield (*cells, 0.5, "both"), 1 - alpha / 2
    cells = [c for c, _ in EXAMPLES] + [
        (0, 0, 1, 1),
        (0, 0, 10**6, 10**6),
        (0, 0, 10**8, 10**8),
        (90, 95, 5, 10),
        (10**7, 10**7, 9 * 10**7, 9 * 10**7),
    ]
    for turn, four in enumerate(cells):
        for level in (0.05, 0.5, 0.975, (1e-6, 1 - 1e-6)[turn % 2]):
            yield (*four, 0.5, "below" if turn % 5 == 4 else "both"), level


def mu_quantile_row(case, level):
    start = max(1e-6, mu_samples(case, [min(max(level, 2e-4), 1 - 2e-4)])[0])
    if case[5] == "below" and mu_cdf(case, 0.0) >= level:
        root = arb(0)
    else:
        evaluate = {"cdf": mu_cdf, "survival": lambda c, t: mu_sum(c, t, "cdf")}
        root = solve_quantile(lambda t, tail: (evaluate[tail](case, t), mu_sum(case, t, "pdf")), level, start)
    return " ".join([" ".join(map(str, case[:4])), case[4].hex(), case[5], level.hex(), hexa(root)])


def table_mu_posterior_quantiles():
    """fn fp tn tp prior region level mu

    mu: quantile of the posterior of mu, F(mu) = level; 0 where F(0) >= level."""
    yield from rows(mu_quantile_row, mu_quantile_cases())


def gaussian_delta(eps, mu):
    """delta(eps; mu) = Phi(-eps/mu + mu/2) - e^eps Phi(-eps/mu - mu/2)."""
    normal = lambda z: (-z / arb(2).sqrt()).erfc() / 2
    return normal(-eps / mu + mu / 2) - eps.exp() * normal(-eps / mu - mu / 2)


def table_gaussian_delta():
    """mu eps delta logdelta

    delta(eps; mu) = Phi(-eps/mu + mu/2) - e^eps Phi(-eps/mu - mu/2)."""
    points = [
        (mu, eps)
        for mu in (1e-3, 0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 20.0)
        for eps in (0.0, 1e-8, 0.1, 1.0, 3.0, 10.0, 50.0)
    ]
    points += [
        (1.0, 37.5),
        (0.25, 9.25),
        (2.0, 74.0),
        (5.0, 196.0),
        (20.0, 900.0),
        (0.1, 3.7),
        (0.01, 0.37),
        (1e-6, 1e-7),
        (1e-6, 2e-5),
        (1e-4, 0.0),
        (40.0, 100.0),
        (60.0, 10.0),
        (3.0, 400.0),
        (1.0, 0.5),
    ]
    with precision(6000):
        for mu, eps in points:
            value = gaussian_delta(arb(eps), arb(mu))
            if value > arb(-20000).exp():
                yield " ".join([mu.hex(), eps.hex(), hexa(value), hexa(value.log())])


# ---------------------------------------------------------------- table: special_functions


def normal_cdf(z):
    return (-z / arb(2).sqrt()).erfc() / 2


def normal_quantile(p):
    """Phi^-1(p), p in (0, 1)."""
    return -arb(2).sqrt() * (2 * p).erfcinv() if p < 0.5 else arb(2).sqrt() * (2 * (1 - p)).erfcinv()


def gamma_rows():
    half_log = (2 * arb.pi()).log() / 2
    places = [10.0**k for k in range(-10, 13)] + [
        1 + d for d in (1e-12, -1e-12, 1e-6, -1e-6, 1e-3, -0.01, 0.25)
    ]
    places += [2 + d for d in (1e-12, -1e-12, 1e-6, -1e-6, 1e-3, -0.01, 0.25)] + [
        0.5,
        1.5,
        2.5,
        3.0,
        5.5,
        7.9,
        8.1,
    ]
    places += [10.5, 14.9, 15.1, 20.5, 33.3, 100.5, 171.6, 1000.5, 12345.5, 1e5 + 0.5, 1e7 + 0.5, 1e9 + 0.5]
    for x in places:
        yield ["log_gamma", x.hex(), hexa(arb(x).lgamma())]
    places = [
        0.01,
        0.02,
        0.05,
        0.1,
        0.2,
        0.5,
        0.75,
        1.0,
        1.3,
        1.5,
        2.0,
        2.5,
        3.0,
        3.5,
        4.5,
        5.0,
        6.5,
        7.5,
        9.9,
        10.5,
    ]
    places += [
        12.5,
        14.5,
        14.99,
        15.0,
        15.01,
        15.5,
        20.5,
        31.5,
        50.5,
        100.5,
        999.5,
        1e4,
        1e5 + 0.5,
        1e6,
        1e7,
        1e8,
        1e9,
    ]
    for x in places:
        y = arb(x)
        yield ["stirling_error", x.hex(), hexa(y.lgamma() - ((y - 0.5) * y.log() - y + half_log))]


def log1pmx_rows():
    places = [sign * 10.0**-k for k in range(1, 13) for sign in (1, -1)]
    places += [
        -1 + 1e-12,
        -1 + 1e-6,
        -0.999,
        -0.9,
        -0.75,
        -0.6,
        -0.5,
        -0.41,
        -0.4,
        -0.39,
        -0.3,
        -0.2,
        -0.05,
        -0.03,
    ]
    places += [0.03, 0.05, 0.2, 0.3, 0.5, 0.59, 0.6, 0.61, 0.75, 1.0, 2.0, 5.0, 10.0, 100.0, 1e3, 1e6]
    for u in places:
        with precision(400):
            yield ["log1pmx", u.hex(), hexa((1 + arb(u)).log() - arb(u))]


def normal_rows():
    for k in range(-38, 39):
        for z in (float(k), k + 0.37):
            lower = normal_cdf(arb(z))
            yield [
                "normal_cdf",
                z.hex(),
                hexa(lower),
                hexa((-normal_cdf(-arb(z))).log1p() if z > 0 else lower.log()),
            ]
    places = [10.0**-k for k in (300, 250, 200, 100, 50, 30, 20, 16, 12, 10, 8, 6, 5, 4, 3, 2)]
    places += [
        0.02425,
        0.025,
        0.05,
        0.1,
        0.2,
        0.3,
        0.4,
        0.45,
        0.499,
        0.5 - 1e-9,
        0.5 + 1e-9,
        0.501,
        0.6,
        0.75,
        0.9,
    ]
    places += [
        0.95,
        0.975,
        0.99,
        0.999,
        1 - 1e-4,
        1 - 1e-6,
        1 - 1e-8,
        1 - 1e-10,
        1 - 1e-12,
        1 - 1e-15,
        1 - 1e-16,
    ]
    for p in places:
        yield ["normal_quantile", p.hex(), hexa(normal_quantile(arb(p)))]


def beta_logit_quantile(law, level, exact=False):
    """s with F(s) = level, to about 1e-4 in log F, or to full precision."""
    flip = level > 0.5
    work, target = (law.mirror(), 1 - arb(level)) if flip else (law, arb(level))
    s, goal = arb(work.mode), target.log()
    if work.exact_cdf(s) > target:  # log F is concave in s: Newton from the left never overshoots
        s = arb(work.active(float(-goal) + 5)[0])
    for _ in range(200):
        value = work.exact_cdf(s)
        step = -(value.log() - goal) * value / work.log_density(s).exp()
        s = (s + step).mid()
        if abs(step) < (
            arb("1e-30") if exact else arb("1e-3") * (arb(1) + abs(s)) * value / work.log_density(s).exp()
        ):
            return -s if flip else s
    raise ArithmeticError("no convergence")


BETA_PARAMETERS = [0.01, 0.5, 1.0, 1.5, 10.5, 1e3 + 0.5, 1e5 + 0.5, 1e7 + 0.5, 1e9 + 0.5]


def beta_points(a, b, s):
    """x and 1-x as doubles, the exact one first named, and both as balls."""
    x, xc = sigmoid(s)
    if min(x, xc) < 1e-300:
        return None
    if x < xc:
        return "x", arb(float(x)), 1 - arb(float(x))
    return "c", 1 - arb(float(xc)), arb(float(xc))


def both_tails(a, b, x, xc, exact):
    """Lower and upper tail of Beta(a, b), the one of the exact argument first, the other by difference unless small."""
    first = x.beta_lower(a, b, 1) if exact == "x" else xc.beta_lower(b, a, 1)
    second = 1 - first if first < 0.999 else xc.beta_lower(b, a, 1) if exact == "x" else x.beta_lower(a, b, 1)
    return (first, second) if exact == "x" else (second, first)


def beta_rows():
    """beta_lower and beta_upper near the quantiles."""
    for i, a in enumerate(BETA_PARAMETERS):
        for j, b in enumerate(BETA_PARAMETERS):
            law = Beta(a, b)
            for k, level in enumerate((1e-300, 1e-20, 1e-4, 0.025, 0.5, 0.975, 1 - 1e-4)):
                if (i + j + k) % 2:
                    continue
                found = beta_points(a, b, beta_logit_quantile(law, level))
                if found is None:
                    continue
                exact, x, xc = found
                lower, upper = both_tails(a, b, x, xc, exact)
                place = [a.hex(), b.hex(), hexa(x), hexa(xc), exact]
                logs = [
                    (-upper).log1p() if upper < 0.5 else lower.log(),
                    (-lower).log1p() if lower < 0.5 else upper.log(),
                ]
                yield ["beta_lower", *place, hexa(lower), hexa(logs[0])]
                yield ["beta_upper", *place, hexa(upper), hexa(logs[1])]


def beta_quantile_rows():
    for i, a in enumerate(BETA_PARAMETERS[1:]):
        for j, b in enumerate(BETA_PARAMETERS[1:]):
            for k, level in enumerate((1e-20, 1e-4, 0.025, 0.5, 0.975, 1 - 1e-6)):
                if (i + 2 * j + k) % 3 == 0:
                    x, xc = sigmoid(beta_logit_quantile(Beta(a, b), level, True))
                    yield ["beta_quantile", a.hex(), b.hex(), level.hex(), hexa(x), hexa(xc)]


def binomial_rows():
    """log P(W <= k) and log P(W > k), W ~ Bin(n, p)."""
    for n in (1, 2, 10, 100, 1000, 10**5, 10**7, 10**9):
        for p in (1e-9, 1e-3, 0.1, 0.5, 0.73, 0.999):
            sd = math.sqrt(n * p * (1 - p))
            places = {min(n - 1, max(0, int(n * p + z * sd))) for z in (-30, -8, -2, 0, 2, 8, 30)}
            for k in sorted(places):
                x = arb(p)
                lower, upper = (1 - x).beta_lower(n - k, k + 1, 1), x.beta_lower(k + 1, n - k, 1)
                logs = [
                    (-upper).log1p() if upper < 0.5 else lower.log(),
                    (-lower).log1p() if lower < 0.5 else upper.log(),
                ]
                yield ["binomial_logcdf", str(n), str(k), p.hex(), hexa(logs[0])]
                yield ["binomial_logsf", str(n), str(k), p.hex(), hexa(logs[1])]


def table_special_functions():
    """function, arguments, values

    log_gamma x value
    stirling_error x value: log Gamma(x) - ((x-1/2) log x - x + log(2 pi)/2)
    log1pmx u value: log(1+u) - u
    normal_cdf z value log
    normal_quantile p value
    beta_lower a b x 1-x exact value log: regularised; the exact argument is x where "exact" is x, 1-x where it is c
    beta_upper a b x 1-x exact value log: 1 - beta_lower
    beta_quantile a b p x 1-x: root of beta_lower(a, b, x) = p
    binomial_logcdf n k p log: log P(W <= k), W ~ Bin(n, p)
    binomial_logsf n k p log: log P(W > k)"""
    for source in (gamma_rows, log1pmx_rows, normal_rows, beta_rows, beta_quantile_rows, binomial_rows):
        yield from (" ".join(row) for row in source())


# ---------------------------------------------------------------- one-run bounds


def increasing_root(function, low, high, width=1e-24):
    """Root of an increasing continuous function between balls low and high (Illinois rule with bisections)."""
    f_low, f_high, side, count = function(low), function(high), 0, 0
    while high - low > width * (1 + abs(high)):
        count += 1
        cut = (low * f_high - high * f_low) / (f_high - f_low) if count % 2 else (low + high) / 2
        cut = cut.mid()
        value = function(cut)
        if value > 0:
            high, f_high = cut, value
            f_low, side = (f_low / 2, 1) if side == 1 else (f_low, 1)
        else:
            low, f_low = cut, value
            f_high, side = (f_high / 2, -1) if side == -1 else (f_high, -1)
    return (low + high) / 2


def bracket_up(function, start=1.0):
    """A place where the function is positive, by doubling."""
    place = arb(start)
    while not function(place) > 0:
        place *= 2
    return place


def steinke_probability(m, r, v, delta, eps):
    """Right side of (7): P(W >= v) + 2 m delta max_{1<=i<=v} [P(W >= v-i) - P(W >= v)]/i, W ~ Bin(r, q)."""
    q, qc = sigmoid(eps)
    odds = q / qc
    at_v = (
        arb(r + 1).lgamma() - arb(v + 1).lgamma() - arb(r - v + 1).lgamma() + v * q.log() + (r - v) * qc.log()
    ).exp()
    tail, term = arb(0), at_v
    for k in range(v, r + 1):
        tail += term
        term *= odds * (r - k) / (k + 1)
    best, mass, term = arb(0), arb(0), at_v
    if delta > 0:
        for i in range(1, v + 1):  # P(W = v-i) from P(W = v-i+1)
            term = term * (v - i + 1) / (odds * (r - v + i))
            mass += term
            if mass > best * i:
                best = mass / i
    return tail + 2 * m * arb(delta) * best


def steinke_bound(m, r, v, alpha, delta):
    """Largest eps at which (7) is <= alpha; 0 if there is none."""
    excess = lambda eps: (steinke_probability(m, r, v, delta, eps) / alpha).log()
    if v == 0 or excess(arb(0)) > 0:
        return arb(0)
    return increasing_root(excess, arb(0), bracket_up(excess))


ONE_RUN_EXAMPLES = [
    (1000, 100, 90, 0.05, 1e-5),
    (1000, 50, 50, 0.05, 1e-5),
    (1000, 100, 90, 0.05, 1e-3),
    (1000, 100, 50, 0.05, 1e-5),
]


def one_run_cases():
    yield from ONE_RUN_EXAMPLES
    for m, r, v in (
        (1, 1, 1),
        (5, 5, 5),
        (10, 10, 10),
        (10, 10, 9),
        (10, 8, 7),
        (100, 100, 100),
        (100, 100, 80),
        (100, 20, 20),
        (100, 100, 1),
        (100, 50, 0),
        (1000, 1000, 700),
        (1000, 1000, 950),
        (1000, 300, 299),
        (1000, 10, 3),
        (5000, 2000, 1500),
        (10**4, 10**4, 6000),
        (10**4, 500, 490),
    ):
        for alpha, delta in ((0.05, 0.0), (0.01, 1e-5), (0.1, 1e-3)):
            yield m, r, v, alpha, delta
    for m, r, v in (
        (10**5, 10**5, 60000),
        (2 * 10**5, 2 * 10**5, 120000),
        (2 * 10**5, 2000, 1900),
        (2 * 10**5, 10**5, 99000),
    ):
        for alpha, delta in ((0.05, 0.0), (0.05, 1e-5)):
            yield m, r, v, alpha, delta
    yield 2 * 10**5, 1000, 1000, 0.05, 1e-9
    yield 2 * 10**5, 2 * 10**5, 110000, 0.05, 1e-3


def table_one_run():
    """m r v alpha delta eps

    m canaries, r guesses, v right: largest eps with P(W >= v) + 2 m delta a <= alpha,
    W ~ Bin(r, e^eps/(1+e^eps)), a = max over all i = 1..v of [P(W >= v-i) - P(W >= v)]/i; 0 if there is none."""
    for m, r, v, alpha, delta in one_run_cases():
        yield "%d %d %d %s %s %s" % (
            m,
            r,
            v,
            alpha.hex(),
            delta.hex(),
            hexa(steinke_bound(m, r, v, alpha, delta)),
        )


def fdp_excess(m, r, v, alpha, mu):
    """r/m - (R+H) after the recursion: negative where the hypothesis is rejected."""
    blow = lambda p: normal_cdf(normal_quantile(p) - mu).mid() if p < 1 else arb(1)
    right, wrong = (arb(alpha) * v / m).mid(), (arb(alpha) * (r - v) / m).mid()
    for i in range(v - 1, -1, -1):  # middles of the balls, else the radii grow with every step
        bigger = blow(right)
        bigger = bigger if bigger > wrong else wrong
        right = (right + i * (bigger - wrong) / (r - i)).mid()
        right = arb(1) if right > 1 else right
        wrong = bigger
    return arb(r) / m - right - wrong


def fdp_bound(m, r, v, alpha, delta):
    """(largest rejected mu, its eps at delta), 0 if nothing is rejected; delta = 0 gives eps = inf for mu > 0."""
    excess = lambda mu: fdp_excess(m, r, v, alpha, mu)
    if v == 0 or not excess(arb(0)) < 0:
        return arb(0), arb(0)
    mu = increasing_root(excess, arb(0), bracket_up(excess), 1e-22)
    short = lambda eps: (arb(delta) / gaussian_delta(eps, mu)).log()
    if short(arb(0)) > 0:
        return mu, arb(0)
    with precision(2 * BITS):
        return mu, increasing_root(short, arb(0), bracket_up(short), 1e-22)


def fdp_cases():
    yield from ONE_RUN_EXAMPLES
    for m, r, v in (
        (1, 1, 1),
        (10, 10, 10),
        (10, 8, 7),
        (100, 100, 80),
        (100, 100, 100),
        (100, 20, 20),
        (100, 30, 5),
        (1000, 300, 280),
        (1000, 1000, 600),
        (10**4, 500, 490),
        (10**5, 200, 190),
    ):
        for alpha, delta in ((0.05, 1e-5), (0.01, 1e-3), (0.1, 1e-10)):
            yield m, r, v, alpha, delta


def table_one_run_fdp():
    """m r v alpha delta mu eps

    R = alpha v/m, H = alpha (r-v)/m; for i = v-1 ... 0: H' = max(H, g(R)), R = min(R + i/(r-i) (H'-H), 1), H = H';
    g(p) = Phi(Phi^-1(p) - mu).  mu: the largest at which R + H > r/m; eps: root of delta(eps; mu) = delta."""
    for m, r, v, alpha, delta in fdp_cases():
        mu, eps = fdp_bound(m, r, v, alpha, delta)
        yield "%d %d %d %s %s %s %s" % (m, r, v, alpha.hex(), delta.hex(), hexa(mu), hexa(eps))


# ---------------------------------------------------------------- table: band_levels


def band_bounds(eta, n):
    """u_i with P(U_(i) > u_i) = eta, i = 1..n (eta a ball)."""
    bounds = []
    for i in range(1, n + 1):
        law, s = Beta(n - i + 1, i), None  # law of 1 - U_(i); P(1-U < x) = eta
        s = arb(law.mode) if not bounds else -(bounds[-1] / (1 - bounds[-1])).log()
        for _ in range(200):
            value = law.exact_cdf(s)
            step = -(value / eta).log() * value / law.log_density(s).exp()
            s = (s + max(min(step, arb(1)), arb(-3))).mid()
            if abs(step) < arb("1e-35"):
                break
        bounds.append(sigmoid(-s)[0])
    return bounds


def crossing_free(bounds):
    """P(U_(i) <= u_i for all i): with b_i = 1-u_(n+1-i), condition on the last i with N(b_i) = i,

    (1-b_i)^(n-i)/(n-i)! = Q_i + sum_{j>i} (b_j-b_i)^(j-i)/(j-i)! Q_j,  Q_n = 1,  P = n! Q_0,  b_0 = 0."""
    n = len(bounds)
    b = [arb(0)] + [1 - u for u in reversed(bounds)]
    factorial = [arb(k).fac() if k else arb(1) for k in range(n + 1)]
    q = [arb(0)] * n + [arb(1)]
    for i in range(n - 1, -1, -1):
        q[i] = (1 - b[i]) ** (n - i) / factorial[n - i] - sum(
            ((b[j] - b[i]) ** (j - i) / factorial[j - i] * q[j] for j in range(i + 1, n + 1)), arb(0)
        )
    return q[0] * factorial[n]


def band_level(n, alpha):
    """eta with P(U_(i) <= B^-1(1-eta; i, n-i+1) for all i) = 1 - alpha/2."""
    with precision(BITS + 6 * n):
        excess = lambda log_eta: ((1 - crossing_free(band_bounds(log_eta.exp(), n))) / (arb(alpha) / 2)).log()
        start = (arb(alpha) / 2).log()
        old, new = start - arb(n).log() / 4 - 1, start - arb(n).log() / 3 - 1.5
        f_old = excess(old)
        for _ in range(40):
            f_new = excess(new)
            step = -f_new * (new - old) / (f_new - f_old)
            old, f_old, new = new, f_new, (new + step).mid()
            if abs(step) < arb("1e-16"):  # the secant's next error is far below 1e-22
                return new.exp()
    raise ArithmeticError("no convergence")


def table_band_levels():
    """n alpha eta, or n eta probability after the word "probability"

    level n alpha eta: P(U_(i) <= B^-1(1-eta; i, n-i+1) for all i = 1..n) = 1 - alpha/2 for uniform order statistics
    probability n eta P: that probability at a given eta"""
    for n in (1, 2, 3, 5, 10, 50, 100, 200):
        for alpha in (0.1, 0.05, 0.01):
            yield "level %d %s %s" % (n, alpha.hex(), hexa(band_level(n, alpha)))
    for n, eta in ((1, 0.2), (2, 0.2), (3, 0.2), (5, 0.05), (10, 0.01), (50, 1e-3), (100, 1e-3), (200, 1e-4)):
        with precision(BITS + 6 * n):
            yield "probability %d %s %s" % (n, eta.hex(), hexa(crossing_free(band_bounds(arb(eta), n))))


# ---------------------------------------------------------------- --check: other methods


def number(field):
    """A field of a table as a float."""
    return float(field) if field in ("nan", "inf", "-inf") else float.fromhex(field)


def deviation(found, listed):
    """Relative difference of a value from its double; 0 for a value below the range of a double."""
    if math.isnan(listed) or math.isinf(listed) or (listed == 0 and abs(found) < 1e-320):
        return 0.0
    if isinstance(found, arb):
        found = mpmath.mpf(found.mid().str(40, radius=False))
    return float(abs(found - listed) / abs(listed)) if listed else float(abs(found))


class MpBeta:
    """A Beta law in mpmath."""

    def __init__(self, a, b):
        self.a, self.b = mpmath.mpf(a), mpmath.mpf(b)
        self.log_norm = mpmath.loggamma(self.a + self.b) - mpmath.loggamma(self.a) - mpmath.loggamma(self.b)
        self.mean = self.a / (self.a + self.b)
        self.sd = mpmath.sqrt(self.mean * (1 - self.mean) / (self.a + self.b + 1))

    def pdf(self, x):
        return mpmath.exp(self.log_norm + (self.a - 1) * mpmath.log(x) + (self.b - 1) * mpmath.log1p(-x))

    def cdf(self, x):
        return mpmath.betainc(self.a, self.b, 0, x, regularized=True)

    def mirror(self):
        return MpBeta(self.b, self.a)


def mp_quad(function, low, high, places):
    """tanh-sinh quadrature on [low, high], split at the places inside."""
    cuts = sorted({p for p in places if low < p < high})
    return mpmath.quad(function, [low, *cuts, high])


def mp_below(law_x, law_y, eps, delta, kind):
    """L of (1), or -dL/deps of (4), by mpmath."""
    e, d = mpmath.exp(eps), 1 - mpmath.mpf(delta)
    corner, total = d / (1 + e), mpmath.mpf(0)
    for one, two in ((law_x, law_y), (law_y, law_x)):
        places = [one.mean + k * one.sd for k in (-8, -3, 0, 3, 8)] + [corner / 50]
        places += [(d - two.mean - k * two.sd) / e for k in (-8, -3, 0, 3, 8)] + [corner - corner / e / 2]
        if kind == "cdf":
            total += mp_quad(lambda x: one.pdf(x) * two.cdf(d - e * x), 0, corner, places)
        else:
            total += e * mp_quad(lambda x: x * one.pdf(x) * two.pdf(d - e * x), 0, corner, places)
    return total - law_x.cdf(corner) * law_y.cdf(corner) if kind == "cdf" else total


def mp_epsilon(case, eps):
    """(S, f) by mpmath."""
    fn, fp, tn, tp, prior, delta, region = case
    law_x, law_y = MpBeta(fn + prior, tp + prior), MpBeta(fp + prior, tn + prior)
    values = []
    for kind in ("cdf", "pdf"):
        value = mp_below(law_x, law_y, eps, delta, kind)
        values.append(
            value + mp_below(law_x.mirror(), law_y.mirror(), eps, delta, kind) if region == "both" else value
        )
    return values


class harder:
    """Context: more bits, more nodes, wider windows; the library's incomplete beta if laws are not too narrow."""

    def __init__(self, size):
        self.size = size

    def __enter__(self):
        global BITS, DROP
        self.saved = BITS, DROP, ctx.prec, Beta.taylor, gauss_rule.__defaults__
        BITS, DROP, ctx.prec = 352, 130.0, 352
        Beta.taylor, gauss_rule.__defaults__ = self.size > 10**4, (44,)

    def __exit__(self, *_):
        global BITS, DROP
        BITS, DROP, ctx.prec, Beta.taylor, gauss_rule.__defaults__ = self.saved


def second_epsilon(case, eps):
    """(F, S, f) with the roles of the two classes exchanged, and f as the derivative of (5)."""
    fn, fp, tn, tp, prior, delta, region = case
    other = (fp, fn, tp, tn, prior, delta, region)
    with harder(sum(case[:4])):
        with precision(BITS + int(1.5 * eps)):
            density = epsilon_strip(eps, delta, *laws(*other[:5]), region, "pdf")
        return epsilon_cdf(other, eps), epsilon_survival(other, eps), density


def check_epsilon(case, eps):
    """(F, S, f) by another method; mpmath's quadrature where it keeps its relative accuracy."""
    if sum(case[:4]) <= 300 and 0.05 < eps < 12:
        with mpmath.workdps(32):
            survival, density = mp_epsilon(case, eps)
            if 1e-3 < survival < 0.999:
                return 1 - survival, survival, density
    return second_epsilon(case, eps)


def parse_case(fields, with_delta=True):
    """Case of a line of a posterior table."""
    reals = [number(f) for f in fields[4 : 6 if with_delta else 5]]
    return (*map(int, fields[:4]), *reals, fields[6 if with_delta else 5])


def check_epsilon_posterior(fields):
    listed = [number(f) for f in fields[7:]]
    cdf, survival, density = check_epsilon(parse_case(fields), listed[0])
    return max(
        deviation(v, w)
        for v, w in zip((cdf, survival, density), (listed[1], listed[3], listed[5]), strict=False)
    )


def check_epsilon_posterior_quantiles(fields):
    level, eps = number(fields[7]), number(fields[8])
    cdf, survival, density = check_epsilon(parse_case(fields), eps)
    if eps == 0:
        return 0.0 if cdf >= level else 1.0
    error = (
        cdf - level
        if level < 0.5
        else (1 - mpmath.mpf(level) if isinstance(cdf, mpmath.mpf) else 1 - arb(level)) - survival
    )
    return abs(float(error / density)) / eps


def mp_mu(case, mu):
    """(S, f) of formula (6) by mpmath."""
    fn, fp, tn, tp, prior, region = case
    law_x, law_y = MpBeta(fn + prior, tp + prior), MpBeta(fp + prior, tn + prior)
    phi, density = mpmath.ncdf, mpmath.npdf
    survival = slope = mpmath.mpf(0)
    for one, two in ((law_x, law_y), (law_x.mirror(), law_y.mirror()))[: 2 if region == "both" else 1]:
        cuts = list(range(-8, 9))
        survival += mpmath.quad(
            lambda z: one.pdf(phi(z)) * density(z) * two.cdf(phi(-z - mu)), [-20, *cuts, 20]
        )
        slope += mpmath.quad(
            lambda z: one.pdf(phi(z)) * density(z) * two.pdf(phi(-z - mu)) * density(z + mu), [-20, *cuts, 20]
        )
    return survival, slope


def check_mu(case, mu):
    """(F, S, f) by another method."""
    if sum(case[:4]) <= 100 and min(case[:4]) > 0 and mu < 6:
        with mpmath.workdps(25):
            survival, density = mp_mu(case, mu)
            if 1e-3 < survival < 0.999:
                return 1 - survival, survival, density
    fn, fp, tn, tp, prior, region = case
    other = (fp, fn, tp, tn, prior, region)
    with harder(sum(case[:4])):
        return mu_cdf(other, mu), mu_sum(other, mu, "cdf"), mu_sum(other, mu, "pdf")


def check_mu_posterior(fields):
    listed = [number(f) for f in fields[6:]]
    cdf, survival, density = check_mu(parse_case(fields, False), listed[0])
    return max(deviation(v, w) for v, w in zip((cdf, survival, density), listed[1:4], strict=False))


def check_mu_posterior_quantiles(fields):
    level, mu = number(fields[6]), number(fields[7])
    cdf, survival, density = check_mu(parse_case(fields, False), mu)
    if mu == 0:
        return 0.0 if cdf >= level else 1.0
    error = (
        cdf - level
        if level < 0.5
        else (1 - mpmath.mpf(level) if isinstance(cdf, mpmath.mpf) else 1 - arb(level)) - survival
    )
    return abs(float(error / density)) / mu


def check_gaussian_delta(fields):
    """delta = Int over z > eps/mu - mu/2 ... by mpmath's normal distribution function with many digits."""
    mu, eps, value, log_value = map(number, fields)
    with mpmath.workdps(1500):
        z = mpmath.mpf(eps) / mu
        found = mpmath.ncdf(-z + mpmath.mpf(mu) / 2) - mpmath.exp(eps) * mpmath.ncdf(-z - mpmath.mpf(mu) / 2)
        return max(deviation(found, value), deviation(mpmath.log(found), log_value))


def beta_by_quadrature(a, b, x, xc):
    """Lower tail of Beta(a, b) at x as an integral of the density (no incomplete beta function)."""
    law, s = Beta(a, b), (x / xc).log()
    bound = lambda t: float(law.log_density(arb(t)))
    low = min(law.mode, float(s)) - 4 * DROP / law.fa - 40
    left, _, _ = window(bound, low, float(s))
    return integrate(
        lambda t: law.log_density(t).exp(), lambda t: 2 * law.half_width(float(t)), [arb(left), s]
    )


def check_beta(fields):
    a, b, x, xc = (arb(number(f)) for f in fields[1:5])
    x, xc = (x, 1 - x) if fields[5] == "x" else (1 - xc, xc)
    if fields[0] == "beta_upper":
        a, b, x, xc = b, a, xc, x
    return max(
        deviation(v, number(f)) for v, f in zip([beta_by_quadrature(a, b, x, xc)], fields[6:7], strict=False)
    )


def check_special_functions(fields):
    """The same function in mpmath, or the beta function by quadrature."""
    name, place = fields[0], fields[1:]
    if name in ("beta_lower", "beta_upper"):
        return check_beta(fields)
    with mpmath.workdps(60):
        if name.startswith("binomial"):
            n, k, p = int(place[0]), int(place[1]), arb(number(place[2]))
            pair = (n - k, k + 1, 1 - p, p) if name == "binomial_logcdf" else (k + 1, n - k, p, 1 - p)
            listed = number(place[3])
            if listed > -0.7:  # near 0 the other tail has the digits
                return deviation((-beta_by_quadrature(pair[1], pair[0], pair[3], pair[2])).log1p(), listed)
            return deviation(beta_by_quadrature(*pair).log(), listed)
        if name == "beta_quantile":
            a, b, level, x, xc = (arb(number(f)) for f in place)
            law, (x, xc) = Beta(a, b), (x, 1 - x) if x < 0.5 else (1 - xc, xc)
            slope = law.log_density((x / xc).log()).exp()
            return abs(float((beta_by_quadrature(a, b, x, xc) - level) / slope))
        x = mpmath.mpf(number(place[0]))
        found = {
            "log_gamma": mpmath.loggamma,
            "stirling_error": lambda t: (
                mpmath.loggamma(t) - (t - 0.5) * mpmath.log(t) + t - mpmath.log(2 * mpmath.pi) / 2
            ),
            "log1pmx": lambda t: mpmath.log1p(t) - t,
            "normal_cdf": mpmath.ncdf,
            "normal_quantile": lambda p: mpmath.mpf(number(place[1])),
        }[name](x)
        if name == "normal_quantile":
            return float(abs((mpmath.ncdf(found) - x) / (mpmath.npdf(found) * found)))
        return deviation(found, number(place[1]))


def check_one_run(fields):
    """(7) from incomplete beta functions (r <= 2000), just below and just above the listed root."""
    m, r, v, alpha, delta, eps = *map(int, fields[:3]), *map(number, fields[3:])

    def excess(eps):
        if r > 2000:  # too many functions: the sums with twice the precision
            with precision(2 * BITS):
                return float(steinke_probability(m, r, v, delta, arb(eps)) - alpha)
        q = sigmoid(arb(eps))[0]
        at_least = lambda k: q.beta_lower(k, r - k + 1, 1) if k > 0 else arb(1)
        tail = at_least(v)
        best = max([(at_least(v - i) - tail) / i for i in range(1, v + 1)], key=float) if v and delta else 0
        return float(tail + 2 * m * arb(delta) * best - alpha)

    if eps == 0:
        return 0.0 if excess(0.0) > 0 else 1.0
    low, high = excess(eps * (1 - 4e-16)), excess(eps * (1 + 4e-16))
    return 0.0 if low < 0 < high else 1.0


def check_one_run_fdp(fields):
    """The recursion in mpmath, just below and just above the listed mu; then delta(eps; mu)."""
    m, r, v, alpha, delta, mu, eps = *map(int, fields[:3]), *map(number, fields[3:])
    mpmath.mp.dps = 34

    def excess(mu):
        blow = lambda p: (
            mpmath.ncdf(mpmath.sqrt(2) * mpmath.erfinv(2 * p - 1) - mu) if p < 1 else mpmath.mpf(1)
        )
        right, wrong = mpmath.mpf(alpha) * v / m, mpmath.mpf(alpha) * (r - v) / m
        for i in reversed(range(v)):
            bigger = max(wrong, blow(right))
            right, wrong = min(right + mpmath.mpf(i) / (r - i) * (bigger - wrong), mpmath.mpf(1)), bigger
        return mpmath.mpf(r) / m - right - wrong

    if mu == 0:
        return 0.0 if excess(mpmath.mpf("1e-9")) > 0 else 1.0
    if not excess(mu * (1 - mpmath.mpf("1e-15"))) < 0 < excess(mu * (1 + mpmath.mpf("1e-15"))):
        return 1.0
    value = lambda e: mpmath.ncdf(-e / mu + mu / 2) - mpmath.exp(e) * mpmath.ncdf(-e / mu - mu / 2)
    mu = mpmath.mpf(mu)
    if eps == 0:
        return 0.0 if value(mpmath.mpf(0)) < delta else 1.0
    slope = mpmath.exp(eps) * mpmath.ncdf(-eps / mu - mu / 2)
    return float(abs((value(mpmath.mpf(eps)) - delta) / slope) / eps)


def chain_probability(bounds):
    """P(U_(i) <= u_i for all i) by the chain N(u_1), N(u_2), ...: binomial steps, N(u_i) >= i."""
    n, states, last = len(bounds), {0: arb(1)}, arb(0)
    for i, u in enumerate(bounds, 1):
        p = (u - last) / (1 - last)
        after = {}
        for j, mass in states.items():
            for k in range(max(j, i), n + 1):
                step = (
                    arb(n - j).fac() / arb(k - j).fac() / arb(n - k).fac() * p ** (k - j) * (1 - p) ** (n - k)
                )
                after[k] = after.get(k, arb(0)) + mass * step
        states, last = after, u
    return sum(states.values(), arb(0))


def check_band_levels(fields):
    """The chain instead of the recursion; a level is turned into its probability and back through the slope."""
    kind, n, first, second = fields[0], int(fields[1]), number(fields[2]), number(fields[3])
    eta = arb(first if kind == "probability" else second)
    if n > 50:  # O(n^3) terms: only the recursion with twice the precision
        with precision(1024 + 8 * n):
            found = crossing_free(band_bounds(eta, n))
    else:
        found = chain_probability(band_bounds(eta, n))
    if kind == "probability":
        return deviation(found, second)
    return abs(float((1 - found) / (arb(first) / 2) - 1))


CHECKS = {
    "epsilon_posterior": check_epsilon_posterior,
    "epsilon_posterior_quantiles": check_epsilon_posterior_quantiles,
    "mu_posterior": check_mu_posterior,
    "mu_posterior_quantiles": check_mu_posterior_quantiles,
    "gaussian_delta": check_gaussian_delta,
    "special_functions": check_special_functions,
    "one_run": check_one_run,
    "one_run_fdp": check_one_run_fdp,
    "band_levels": check_band_levels,
}


def check_table(name, folder, count, seed):
    """Compute some lines of a written table again; returns whether all agree."""
    with open(os.path.join(folder, name + ".txt"), encoding="ascii") as text:
        lines = [line.split() for line in text if not line.startswith("#")]
    worst, start = 0.0, time.time()
    for fields in random.Random(seed).sample(lines, min(count, len(lines))):
        found = CHECKS[name](fields)
        if found > 1e-15:
            print("%s: differs by %.1e: %s" % (name, found, " ".join(fields)), flush=True)
        worst = max(worst, found)
    print(
        "%s: %d of %d lines computed again, largest relative difference %.1e, %.0f s"
        % (name, min(count, len(lines)), len(lines), worst, time.time() - start),
        flush=True,
    )
    return worst <= 1e-15


# ---------------------------------------------------------------- command line

TABLES = {
    "epsilon_posterior": table_epsilon_posterior,
    "epsilon_posterior_quantiles": table_epsilon_posterior_quantiles,
    "mu_posterior": table_mu_posterior,
    "mu_posterior_quantiles": table_mu_posterior_quantiles,
    "gaussian_delta": table_gaussian_delta,
    "special_functions": table_special_functions,
    "one_run": table_one_run,
    "one_run_fdp": table_one_run_fdp,
    "band_levels": table_band_levels,
}


def header(name, function):
    """The comment block at the top of a table."""
    text = [
        "%s.txt" % name,
        "",
        *[line.strip() for line in function.__doc__.splitlines()],
        "",
        "First line of the description: the columns.  Integers are decimal, reals are C hexadecimal floats,",
        "correctly rounded; a value below the range of a double is 0 and its logarithm is tabulated.",
        "Made by tools/make_reference_tables.py in ball arithmetic of %d bits or more," % BITS,
        "on %s.  No licence is needed for the numbers: use them freely." % datetime.date.today(),
    ]
    return "".join(("# " + line).rstrip() + "\n" for line in text)


def write_table(name, folder):
    """Write one table, line by line, and report."""
    start, lines = time.time(), 0
    path = os.path.join(folder, name + ".txt")
    with open(path + ".part", "w", encoding="ascii") as out:
        out.write(header(name, TABLES[name]))
        for row in TABLES[name]():
            out.write(row + "\n")
            out.flush()
            lines += 1
    os.replace(path + ".part", path)
    print("%s: %d lines, %.0f s" % (name, lines, time.time() - start), flush=True)


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description="Make the reference tables of the tests in high precision.")
    parser.add_argument(
        "--table", action="append", choices=sorted(TABLES), help="only this table (may be repeated)"
    )
    parser.add_argument("--keep-going", action="store_true", help="leave out the lines that fail their check")
    parser.add_argument(
        "--out", default=os.path.join(here, "..", "tests", "data"), help="folder of the tables"
    )
    parser.add_argument(
        "--check", action="store_true", help="compute lines of the existing tables in another way"
    )
    parser.add_argument("--count", type=int, default=12, help="lines of each table to check")
    parser.add_argument("--seed", type=int, default=1, help="seed of the choice of lines")
    options = parser.parse_args()
    global KEEP_GOING
    KEEP_GOING = options.keep_going
    if options.check:
        # A list, so that one bad table does not hide the next.
        passed = [
            check_table(name, options.out, options.count, options.seed) for name in options.table or TABLES
        ]
        sys.exit(0 if all(passed) else 1)
    for name in options.table or TABLES:
        write_table(name, options.out)


if __name__ == "__main__":
    main()
