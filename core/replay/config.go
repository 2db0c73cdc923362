// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"fmt"
	"time"
)

// Caps that a [Memory] has unless its [Config] says otherwise, in claims (profile 7.4).
const (
	// DefaultMaxSigned bounds signed claims. All of them take some 50 MiB.
	DefaultMaxSigned = 1 << 20
	// DefaultMaxUnsigned bounds unsigned claims.
	DefaultMaxUnsigned = 1 << 18
	// DefaultMaxPerDomain bounds the signed claims of one trust domain.
	DefaultMaxPerDomain = 1 << 19

	// MaxClaims bounds MaxSigned and MaxUnsigned together: 16,773,111, about 0.8 GiB. It
	// is what the index can number, less a block, which need not be full, for each slot
	// of a wheel.
	MaxClaims = posMask - (levels*slots+1)*blockSize
)

// Config bounds a [Memory] (profile 7.4). A zero field means the default of the same
// name, so that no cap can be switched off; a negative one is an error of [NewMemory].
type Config struct {
	// MaxSigned is the largest number of live signed claims.
	MaxSigned int
	// MaxUnsigned is the largest number of live unsigned claims.
	MaxUnsigned int
	// MaxPerDomain is the largest number of live signed claims of one trust domain.
	MaxPerDomain int
	// Now is the clock, [time.Now] if nil. Only its Unix seconds are used. It is called
	// once a call, and has to be safe for concurrent use.
	Now func() time.Time
}

func (c Config) withDefaults() (Config, error) {
	for _, f := range []struct {
		name  string
		value *int
		def   int
	}{
		{"MaxSigned", &c.MaxSigned, DefaultMaxSigned},
		{"MaxUnsigned", &c.MaxUnsigned, DefaultMaxUnsigned},
		{"MaxPerDomain", &c.MaxPerDomain, DefaultMaxPerDomain},
	} {
		switch {
		case *f.value < 0:
			return Config{}, fmt.Errorf("replay: Config.%s is negative", f.name)
		case *f.value == 0:
			*f.value = f.def
		}
	}
	if c.MaxSigned > MaxClaims || c.MaxUnsigned > MaxClaims-c.MaxSigned {
		return Config{}, fmt.Errorf("replay: Config.MaxSigned and Config.MaxUnsigned are together more than %d", MaxClaims)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c, nil
}
