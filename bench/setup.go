// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"time"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/dag"
	"github.com/go-ect/ect/core/id"
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

// liveTasks is how many tasks a service knows in the cases that add to them: what one of 30
// requests a second has with the store's defaults.
const liveTasks = 1 << 16

// steadyTasks returns a task store in which as many tasks end as come: its clock goes on
// with each message, and what came liveTasks messages ago is dropped.
func steadyTasks() (*dag.Memory, error) {
	ticks := time.Unix(1e9, 0)
	tasks, err := dag.NewMemory(dag.MemoryConfig{
		MaxTasks: 4 * liveTasks, MaxUnsigned: 4 * liveTasks, MaxPerDomain: 4 * liveTasks, MaxBytes: 4 << 30,
		Quiet: liveTasks * time.Millisecond, Now: func() time.Time { ticks = ticks.Add(time.Millisecond); return ticks },
	})
	if err != nil {
		return nil, err
	}
	for n := range uint64(liveTasks) {
		var name [8]byte
		binary.BigEndian.PutUint64(name[:], n)
		sum := sha256.Sum256(name[:])
		node := dag.Node{
			Key:    dag.Key{Signed: true, Issuer: caller, Task: id.UUID(sum[:16])},
			Digest: sum, Workflow: id.Workflow{ID: id.UUID(sum[16:]), Present: true}, Level: 2, Domain: caller,
		}
		if _, err := tasks.Admit(context.Background(), &dag.Proposal{Batch: []dag.Entry{{Node: node}}}); err != nil {
			return nil, err
		}
	}
	return tasks, nil
}

// roomyClaims returns a replay store that no case fills.
func roomyClaims() (*replay.Memory, error) {
	return replay.NewMemory(replay.Config{MaxSigned: 1 << 22, MaxUnsigned: 1 << 22, MaxPerDomain: 1 << 22})
}
