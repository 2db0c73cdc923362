// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

// Package replay remembers which task tokens were acted on, so that one instance
// acts on each of them once (profile 7).
//
// # What it is
//
// A message claims all of its tokens in a [Store] as the last step of verification,
// all of them or none. A claim answers [Fresh], [Same] or [Conflict], and it lives
// through the second in which the token could last be accepted. [Memory] is the
// store for one process: bounded, exact to the second, and safe for concurrent use.
// The package knows keys and digests only, never a token.
//
//	store, err := replay.NewMemory(replay.Config{})
//	…
//	outcomes, err := store.Claim(ctx, []replay.Claim{{
//		Key:      replay.NewKey(true, issuer, jti),
//		Digest:   digest,
//		Signed:   true,
//		Domain:   "example.org",
//		NotAfter: notAfter,
//	}}, true)
//
// # Security notes
//
// ONCE MEANS ONCE PER INSTANCE. Two processes with a Memory each accept the same
// token once each, and so does one process before and after a restart.
//
// A FULL STORE REFUSES; IT NEVER FORGETS A LIVE CLAIM. Memory has caps of its own for
// signed claims, for unsigned claims and for the signed claims of one trust domain,
// so that a flood of one kind takes nothing from another (profile 7.4). Past a cap,
// Claim fails closed with [ErrFull] until claims expire.
//
// TIME ONLY GOES FORWARD. Memory holds on to the latest second that its clock has
// shown. After the clock was set back, claims that had expired by that latest second
// stay forgotten, and a claim that ends before it fails closed with [ErrExpired],
// since Memory can no longer tell whether it was there. A clock that shows a time far
// ahead for one moment therefore closes the store until that time comes or the
// process is started again.
//
// Every verifier that shares a store has to work out NotAfter alike. Otherwise a
// token whose claim has expired for one of them is still acceptable to another.
//
// # Cost
//
// An entry takes less than 64 bytes, its part of the index included, in memory that
// holds no pointers for the garbage collector to follow. Claims that end at many different
// times take more, by 10 MiB at most in all. A claim costs one short critical section on
// one of 64 shards and a shorter one on the counts.
//
// Nothing sweeps the store. A claim that has ended is nothing from that second on,
// whether it is still there or not. Each call clears, in the shards it touches, what
// ended 16 seconds ago or longer, and a call that meets a full store first clears all
// that has ended, in all shards, at most once a second. Memory that such claims leave is
// used again but not given back, so the process keeps what its busiest moment needed.
package replay
