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
different integrals: every line is accepted only if F + S = 1 to 1e-25.

--check takes a random subset of each table and computes it again in another way: the incomplete
beta function of the library at every node, and the tanh-sinh quadrature of mpmath.

Numbers in the tables are C hexadecimal floating point, correctly rounded; a value outside the
range of a double is in the column of its natural logarithm.

Usage:  make_reference_tables.py [--table NAME ...] [--check] [--out DIR]
Needs:  python-flint, mpmath.
"""

import argparse
import bisect
import datetime
import math
import os
import random
import sys
import time
from fractions import Fraction

import mpmath
from flint import arb, arb_poly, arb_series, ctx, fmpq

BITS = 256          # working precision
TERMS = 72          # Taylor terms on a panel
NODES = 32          # Gauss-Legendre nodes on a panel
DROP = 95.0         # integrands are cut where they have fallen by exp(-DROP)
HALF_MAX = 0.75     # largest half width of a panel, in logits

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
    if not x.is_finite():
        return float(x)
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

    taylor = True       # False: the library's incomplete beta function at every call

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
        return min(HALF_MAX, 1 / math.sqrt(curve) if curve > 0 else HALF_MAX,
                   3 / slope if slope > 0 else HALF_MAX)

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
            edge += 2 * min(self.half_width(edge),
                            self.half_width(edge + 2 * self.half_width(edge)))
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
        if place < self.edges[0]:       # the panels reach so far that F is negligible here if fa is large
            return arb(0) if self.fa >= 30 else self.exact_cdf(s)
        if place >= self.edges[-1] and self.fb < 30:
            return self.exact_cdf(s)
        k = bisect.bisect_right(self.edges, place) - 1
        while len(self.sums) <= k:
            self.sums.append(self.sums[-1] + self.panel(len(self.sums) - 1)(arb(1)))
        if place >= self.edges[-1]:     # and 1-F here if fb is large
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
    for start, stop in zip(points, points[1:]):
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
        s_x, jac, s_y, slope, _ = (float(v) for v in self.curve(t))
        width = 2 * self.x.half_width(s_x) / jac
        if self.active[0] < s_y < self.active[1]:
            width = min(width, 2 * self.y.half_width(s_y) / slope)
        return width

    def value(self, low, high):
        """The integral over t in [low, high] (balls or floats)."""
        left, right, level = window(self.bound, float(low), float(high))
        if level < -1500:               # no effect on any number of the tables
            return arb(0)
        s_y = lambda t: float(self.curve(arb(t))[2])
        bottom, top = sorted((s_y(left), s_y(right)))
        self.active = self.y.active(DROP + max(0.0, self.y.fall(min(top, self.y.mode))))
        if self.kind == "cdf" and self.y.taylor:
            low_end = min(max(bottom, self.y.short_series()), self.active[1])
            self.y.prepare(low_end, max(low_end, min(top, self.active[1])))
        breaks = sorted(crossing(lambda t: s_y(t) > end, *((right, left) if s_y(right) > s_y(left) else (left, right)))
                        for end in self.active if bottom < end < top)
        points = [low if left == float(low) else arb(left)] + [arb(t) for t in breaks]
        return integrate(self.integrand, self.step, points + [high if right == float(high) else arb(right)])


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
    """F by formula (5): Int f_X(x) [F_Y(hi(x)) - F_Y(lo(x))] dx, t = log(x/(1-x)).

    edge(x, 1-x) gives (lo, 1-lo, |dlo/dx|) or None where lo = 0.
    """

    def __init__(self, law_x, law_y, edge, two_sided):
        self.x, self.y, self.yc = law_x, law_y, law_y.mirror()
        self.edge, self.two_sided = edge, two_sided

    def ends(self, t):
        """[(s_lo, slope), (s_hi, slope)] with None for an open end."""
        x, xc = sigmoid(t)
        pair = []
        for sign, found in ((1, self.edge(x, xc)), (-1, self.edge(xc, x) if self.two_sided else None)):
            if found is None:
                pair.append(None)
            else:
                y, yc, slope = found
                pair.append((sign * (y / yc).log(), slope * x * xc / (y * yc)))
        return pair

    def low(self, t):
        end = self.ends(arb(t))[0]
        return -math.inf if end is None else float(end[0])

    def high(self, t):
        end = self.ends(arb(t))[1]
        return math.inf if end is None else float(end[0])

    def bound(self, t):
        low, high = self.low(t), self.high(t)
        nearest = min(max(self.y.mode, low), high)
        return float(self.x.log_density(arb(t))) - self.y.fall(nearest)

    def integrand(self, t):
        low, high = self.ends(t)
        weight = self.x.log_density(t).exp()
        if low is not None and low[0] > self.y.mode:
            return weight * (self.yc.cdf(-low[0]) - (0 if high is None else self.yc.cdf(-high[0])))
        top = 1 if high is None else self.y.cdf(high[0])
        return weight * (top - (0 if low is None else self.y.cdf(low[0])))

    def step(self, t):
        width = 2 * self.x.half_width(float(t))
        for end in self.ends(t):
            if end is not None and self.active[0] < float(end[0]) < self.active[1]:
                width = min(width, 2 * self.y.half_width(float(end[0])) / float(end[1]))
        return width

    def value(self, kinks):
        """The integral; kinks are the places (balls) where lo or hi change form."""
        span = 2 * DROP / min(self.x.fa, self.x.fb) + 800
        left, right, level = window(self.bound, self.x.mode - span, self.x.mode + span)
        if level < -5000:
            return arb("nan")
        depth = self.x.peak - level
        self.active = self.y.active(DROP + 20 + 2 * max(0.0, depth))
        self.tabulate(left, right)
        points = [arb(left), *(k for k in kinks if left < k < right), arb(right)]
        for start, stop in list(zip(points, points[1:])):
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


def epsilon_strip(eps, delta, law_x, law_y, region):
    """F(eps) by formula (5)."""
    lines = Region(eps, delta)
    if delta == 0 and eps == 0 and region == "both":
        return arb(0)

    def edge(x, xc):
        if x <= lines.corner:
            return lines.d - lines.e * x, lines.delta + lines.e * x, lines.e
        rest = xc - lines.delta
        if not rest > 0:
            return None
        y = rest / lines.e
        return y, 1 - y, 1 / lines.e

    kinks = [(lines.corner / (1 - lines.corner)).log()]
    if delta > 0:
        kinks.append((lines.d / lines.delta).log())
    kinks = ascending(kinks + [-k for k in kinks])
    return Strip(law_x, law_y, edge, region == "both").value(kinks)


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
    with precision(BITS + int(1.5 * eps) + 10):
        return epsilon_strip(eps, delta, *laws(fn, fp, tn, tp, prior), region)


# ---------------------------------------------------------------- table: epsilon_posterior

EXAMPLES = [        # (fn, fp, tn, tp), delta
    ((0, 512, 1, 487), 1e-5), ((10, 5, 95, 90), 1e-5), ((3, 2, 18, 17), 0.0),
    ((0, 0, 50, 50), 1e-5), ((45, 48, 52, 55), 1e-5), ((400, 2, 498, 100), 1e-5),
    ((80, 85, 15, 20), 1e-5), ((30, 20, 480, 470), 1e-2),
    ((400000, 10000, 990000, 600000), 1e-6),
    ((480000000, 470000000, 530000000, 520000000), 1e-10)]
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
        for cells in ((3, 2, 18, 17), (0, 0, 50, 50), (1, 0, 0, 1), (90, 95, 5, 10), (10**5, 10**4, 10**6, 10**6)):
            yield from quantile_points((*cells, prior, 1e-5, "both"), [0.025, 0.5, 0.975])


def tail_cases():
    """Deep tails of S and F, very large and very small eps."""
    for cells, delta in (((10, 5, 95, 90), 1e-5), ((3, 2, 18, 17), 0.0), ((400, 2, 498, 100), 0.01),
                         ((1, 1, 9, 9), 1e-5), ((30, 20, 480, 470), 1e-10), ((17, 18, 2, 3), 1e-5)):
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
    deep = cdf.is_nan()                 # F below exp(-5000)
    if deep:
        cdf = arb(0)
    if not abs(cdf + survival - 1) < arb("1e-25"):
        raise ArithmeticError("F+S-1 = %s for %r at %r" % ((cdf + survival - 1).str(5), case, eps))
    log_cdf = math.nan if deep else (-survival).log1p() if survival < 0.5 else log_or_inf(cdf)
    log_survival = (-cdf).log1p() if cdf < 0.5 else log_or_nan(survival)
    values = cdf, log_cdf, survival, log_survival, density, log_or_nan(density)
    return " ".join([" ".join(map(str, case[:4])), case[4].hex(), case[5].hex(), case[6], eps.hex()]
                    + [hexa(v) for v in values])


def table_epsilon_posterior():
    """fn fp tn tp prior delta region eps F logF S logS f logf

    F, S: distribution function and survival function of the posterior of eps; f: density.
    nan: logarithm below -1400, not tabulated."""
    for source in (example_cases, stress_cases, tail_cases):
        for case, eps in source():
            yield epsilon_row(case, eps)


# ---------------------------------------------------------------- command line

TABLES = {
    "epsilon_posterior": table_epsilon_posterior,
}


def header(name, function):
    """The comment block at the top of a table."""
    text = ["%s.txt" % name, "", *[line.strip() for line in function.__doc__.splitlines()], "",
            "First line of the description: the columns.  Integers are decimal, reals are C hexadecimal floats,",
            "correctly rounded; a value below the range of a double is 0 and its logarithm is tabulated.",
            "Made by tools/make_reference_tables.py in ball arithmetic of %d bits or more," % BITS,
            "on %s.  No licence is needed for the numbers: use them freely." % datetime.date.today()]
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
    parser.add_argument("--table", action="append", choices=sorted(TABLES), help="only this table (may be repeated)")
    parser.add_argument("--out", default=os.path.join(here, "..", "tests", "data"), help="folder of the tables")
    options = parser.parse_args()
    for name in options.table or TABLES:
        write_table(name, options.out)


if __name__ == "__main__":
    main()
