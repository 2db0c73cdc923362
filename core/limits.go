// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"fmt"
	"time"
)

// Limits of what a verifier reads and an issuer writes. Those in [Limits] can be
// set per verifier; the rest belongs to the token format.
const (
	// DefaultTokenBytes is the longest token accepted (profile 9.2).
	DefaultTokenBytes = 8 << 10
	// DefaultTokens is the largest number of tokens in one message (profile 9.2).
	DefaultTokens = 16
	// DefaultTotalBytes bounds the field values of one message, separators included (profile 9.2).
	DefaultTotalBytes = 32 << 10

	// MaxActionBytes is the longest `exec_act` (profile 3).
	MaxActionBytes = 256
	// MaxURIBytes is the longest `iss`, and the longest identity an issuer may have.
	MaxURIBytes = 2048
	// MaxPred is the largest number of predecessors accepted (profile 3).
	MaxPred = 100
	// MaxIssuedPred is the largest number of predecessors written, which leaves `pred_dig` room (profile 3).
	MaxIssuedPred = 64
	// MaxTokens is the largest Limits.Tokens: a task token names every head it answers
	// beside its frontier, and must itself fit DefaultTokenBytes.
	MaxTokens = 32
	// MaxExtBytes is the longest `ect_ext` as sent (profile 3).
	MaxExtBytes = 4096
	// MaxExtDepth is how deep `ect_ext` may be nested, itself counted as one (profile 3).
	MaxExtDepth = 5
	// MaxDate is the largest NumericDate, in seconds (profile 2.6).
	MaxDate = 1<<53 - 1
	// MaxCertificates is the largest number of certificates in `x5c` (profile 2.2).
	MaxCertificates = 4
	// MaxFrontier is how many tokens a frontier may hold before a join step takes
	// their place in what is issued next.
	MaxFrontier = 12
	// MaxContext is the largest number of generations an [Audience] may be given.
	MaxContext = 8
)

// Times a verifier uses unless its policy says otherwise (profile 4, 5.3).
const (
	DefaultMaxAge      = 15 * time.Minute
	DefaultMaxFuture   = 30 * time.Second
	DefaultLeeway      = 30 * time.Second
	DefaultMaxLifetime = 24 * time.Hour
	DefaultPredSkew    = 30 * time.Second
	// DefaultLifetime is how long issued tokens live (profile 3).
	DefaultLifetime = 10 * time.Minute
)

// Limits bounds what one message may carry (profile 9.2). A zero field means the
// default of the same name; a negative one is a construction error.
type Limits struct {
	TokenBytes int
	Tokens     int
	TotalBytes int
}

func (l Limits) withDefaults() (Limits, error) {
	for _, f := range []struct {
		name  string
		value *int
		def   int
	}{
		{"TokenBytes", &l.TokenBytes, DefaultTokenBytes},
		{"Tokens", &l.Tokens, DefaultTokens},
		{"TotalBytes", &l.TotalBytes, DefaultTotalBytes},
	} {
		switch {
		case *f.value < 0:
			return Limits{}, fmt.Errorf("ect: Limits.%s is negative", f.name)
		case *f.value == 0:
			*f.value = f.def
		}
	}
	if l.Tokens > MaxTokens {
		return Limits{}, fmt.Errorf("ect: Limits.Tokens is more than %d", MaxTokens)
	}
	return l, nil
}
