// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/dag"
	"github.com/go-ect/ect/core/replay"
)

func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// binderOf trusts a party, or nobody where it has no key.
func binderOf(p *party) (core.Binder, error) {
	if p.key == nil {
		return core.NewStaticBinder(nil)
	}
	point, err := p.key.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	n := (len(point) - 1) / 2
	set, err := json.Marshal(map[string]any{"keys": []map[string]string{{
		"kty": "EC", "crv": "P-256", "kid": "key-1",
		"x": base64.RawURLEncoding.EncodeToString(point[1 : 1+n]),
		"y": base64.RawURLEncoding.EncodeToString(point[1+n:]),
	}}})
	if err != nil {
		return nil, err
	}
	keys, err := core.ParseKeySet(set)
	if err != nil {
		return nil, err
	}
	return core.NewStaticBinder(map[string]*core.KeySet{caller: keys})
}

// roomy returns stores that no case fills.
func roomy() (dag.Store, replay.Store, error) {
	tasks, err := dag.NewMemory(dag.MemoryConfig{MaxTasks: 1 << 22, MaxUnsigned: 1 << 22, MaxBytes: 8 << 30})
	if err != nil {
		return nil, nil, err
	}
	claimed, err := replay.NewMemory(replay.Config{MaxSigned: 1 << 22, MaxUnsigned: 1 << 22, MaxPerDomain: 1 << 22})
	return tasks, claimed, err
}
