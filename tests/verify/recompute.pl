#!/usr/bin/perl
# Recomputes rho and epsilon of a bundle, sharing no code and no language with the verifier: perl recompute.pl DIR
# Costs are exact integers in units of 2^-60; the conversion searches for epsilon itself, in double precision, and uses no witness.
use strict;
use warnings;
use JSON::PP;
use Math::BigInt;
use POSIX qw(:math_h_c99);

open(my $file, '<', "$ARGV[0]/release.json") or die "no release.json in $ARGV[0]\n";
my $record = JSON::PP->new->allow_bignum->decode(do { local $/; <$file> });
my $unit = Math::BigInt->new(2)->bpow(60);

# The least whole number of 2^-60 that is not below top / bottom.
sub up {
    my ($top, $bottom) = @_;
    return ($unit * $top + $bottom - 1) / $bottom;
}

# D^2 / (2 s^2), and for Gaussian noise times 1 + 1 / (9 s^2), with s = p / q.
sub cost {
    my ($event) = @_;
    my ($p, $q) = map { Math::BigInt->new($_) } split m{/}, $event->{scale};
    my $squares = Math::BigInt->new("$event->{sensitivity}")->bpow(2) * $q**2;
    return up($squares, 2 * $p**2) if $event->{mechanism} eq 'noisy-max';
    my $each = up($squares * (9 * $p**2 + $q**2), 18 * $p**4);
    return $each * ($event->{mechanism} eq 'gaussian-errors' ? Math::BigInt->new("$event->{outcomes}") : 1);
}

# log delta of rho-zCDP at epsilon and order 1 + exp(t): arXiv:2004.00010, Proposition 12.
sub log_delta_at {
    my ($rho, $epsilon, $t) = @_;
    my $a = 1 + exp($t);
    return ($a - 1) * ($a * $rho - $epsilon) - $t + $a * log1p(-1 / $a);
}

sub zcdp_delta {
    my ($rho, $epsilon) = @_;
    my ($low, $high, $golden) = (-12, 20, (sqrt(5) - 1) / 2);
    for (1 .. 200) {
        my ($one, $two) = ($high - $golden * ($high - $low), $low + $golden * ($high - $low));
        if (log_delta_at($rho, $epsilon, $one) < log_delta_at($rho, $epsilon, $two)) { $high = $two } else { $low = $one }
    }
    return exp(log_delta_at($rho, $epsilon, ($low + $high) / 2));
}

# delta of sqrt(2 rho)-GDP at epsilon: arXiv:1905.02383, Corollary 2.13.
sub gdp_delta {
    my ($rho, $epsilon) = @_;
    my $mu = sqrt(2 * $rho);
    my ($one, $two) = ($epsilon / $mu - $mu / 2, $epsilon / $mu + $mu / 2);
    return erfc($one / sqrt(2)) / 2 - exp($epsilon) * erfc($two / sqrt(2)) / 2;
}

sub epsilon_of {
    my ($delta_of, $rho, $delta) = @_;
    my ($low, $high) = (0, 1);
    $high *= 2 while $delta_of->($rho, $high) > $delta;
    for (1 .. 100) {
        my $middle = ($low + $high) / 2;
        if ($delta_of->($rho, $middle) > $delta) { $low = $middle } else { $high = $middle }
    }
    return $high;
}

sub ratio { my ($p, $q) = split m{/}, $_[0]; return Math::BigInt->new($p)->numify / Math::BigInt->new($q)->numify }

my ($sum, $given) = (Math::BigInt->new(0), 0);
for my $exchange (@{ $record->{exchanges} }) {
    for my $event (@{ $exchange->{events} }) {
        my ($p, $q) = split m{/}, $event->{rho};
        my $cost = cost($event);
        die "an event states another cost than its parameters imply\n" if $cost * $q != $unit * $p;
        $sum += $cost;
        next if $event->{mechanism} ne 'gaussian-threshold';
        my $z = ($event->{threshold} - $event->{sensitivity} - 1) / ratio($event->{scale});
        my $least = $event->{sensitivity} * erfc($z / sqrt(2)) / 2;
        die "labels give away more than they state\n" if ratio($event->{delta}) < $least * (1 - 1e-9) || $z < 2;
        $given += ratio($event->{delta});
    }
}
my $claim = $record->{guarantee};
die "the answers give away more than is claimed for them\n" if $given > ratio($claim->{given}) * (1 + 1e-9);
my ($rho, $delta) = (ratio($claim->{rho}), ratio($claim->{delta}) - ratio($claim->{given}));
my $gcd = Math::BigInt::bgcd($sum, $unit);
printf "spent %s/%s\n", $sum / $gcd, $unit / $gcd;
printf "epsilon %.9f\n", epsilon_of($claim->{track} eq 'gdp' ? \&gdp_delta : \&zcdp_delta, $rho, $delta);
printf "zcdp_epsilon %.9f\n", epsilon_of(\&zcdp_delta, $rho, $delta);
