// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package ecttest

import (
	"errors"
	"time"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/dag"
	"github.com/go-ect/ect/core/replay"
)

// replayedMessages hold a token that came before.
func replayedMessages() []Message {
	const code = core.CodeReplayed
	return []Message{
		{Name: "the same again", Code: code, stage: func(s *stage) []Attempt {
			a := s.head()
			return []Attempt{accepted(a), refused(code, a), refused(code, a, a), refused(code, "", " ,"+a+", "), accepted(s.head())}
		}},
		{Name: "its other spelling", Code: code, stage: func(s *stage) []Attempt {
			a := s.head()
			return []Attempt{accepted(a), refused(code, Twin(s.tb, a)), accepted(s.head())}
		}},
		{Name: "again beside a new one", Code: code, stage: func(s *stage) []Attempt {
			a, fresh := s.head(), s.head()
			return append([]Attempt{accepted(a)}, beside(code, fresh, a)...)
		}},
		{Name: "one of two again", Code: code, stage: func(s *stage) []Attempt {
			a, b := s.head(), s.sign(s.other().Token(s.To.Identity))
			return []Attempt{accepted(a, b), refused(code, b), refused(code, a), accepted(s.head())}
		}},
		{Name: "an unsigned one again", Code: code, stage: func(s *stage) []Attempt {
			s.policy.MinLevel = core.L1
			a := s.token().Unsigned(s.tb)
			return []Attempt{accepted(a), refused(code, a), accepted(s.head())}
		}},
		{Name: "another of its id, where the same may come again", Code: core.CodeEquivocation, stage: func(s *stage) []Attempt {
			s.policy.Replay = core.ReplayIdempotent
			return another(s)
		}},
		{Name: "another of its id, where nothing is claimed", Code: core.CodeEquivocation, stage: func(s *stage) []Attempt {
			s.policy.Replay = core.ReplayOff
			return another(s)
		}},
	}
}

// another presents a token twice, and another of the same issuer and id.
func another(s *stage) []Attempt {
	t := s.token()
	one, two := s.sign(t), s.sign(t.With("exec_act", "other"))
	return []Attempt{accepted(one), accepted(one), refused(core.CodeEquivocation, two), accepted(one)}
}

// unavailableMessages come to a service that cannot look now. What was refused then is
// none the worse.
func unavailableMessages() []Message {
	const code = core.CodeUnavailable
	keysDown := errors.New("the key source of " + Name + "/from cannot be reached")
	return []Message{
		{Name: "the key source is down", Code: code, stage: func(s *stage) []Attempt {
			a := s.head()
			return []Attempt{
				refused(code, a).once(func() { s.Domain.Fail(keysDown) }),
				accepted(a).once(func() { s.Domain.Fail(nil) }),
				refused(core.CodeReplayed, a),
			}
		}},
		{Name: "the key source is down, and form comes first", Code: core.CodeMalformed, stage: func(s *stage) []Attempt {
			a := s.head()
			return []Attempt{
				refused(core.CodeMalformed, a, "a.b.c").once(func() { s.Domain.Fail(keysDown) }),
				accepted(a).once(func() { s.Domain.Fail(nil) }),
			}
		}},
		{Name: "the replay store is down", Code: code, stage: func(s *stage) []Attempt {
			store := newDownReplay(s.tb)
			s.options = append(s.options, core.WithReplayStore(store))
			a := s.head()
			return []Attempt{refused(code, a), accepted(a).once(func() { store.up.Store(true) }), refused(core.CodeReplayed, a)}
		}},
		{Name: "the replay store is full", Code: code, stage: func(s *stage) []Attempt {
			return replayFull(s, replay.Config{MaxSigned: 1})
		}},
		{Name: "the replay store is full for the trust domain", Code: code, stage: func(s *stage) []Attempt {
			return replayFull(s, replay.Config{MaxPerDomain: 1})
		}},
		{Name: "the replay store is full of unsigned tokens", Code: code, stage: func(s *stage) []Attempt {
			s.policy.MinLevel = core.L1
			s.options = append(s.options, core.WithReplayStore(newReplay(s.tb, replay.Config{MaxUnsigned: 1})))
			a, b, signed := s.token().Unsigned(s.tb), s.token().Unsigned(s.tb), s.head()
			return []Attempt{accepted(a), refused(code, b), refused(code, b, signed), accepted(signed)}
		}},
		{Name: "the task store is down", Code: code, stage: func(s *stage) []Attempt {
			store := newDownTasks(s.tb)
			s.options = append(s.options, core.WithTaskStore(store))
			a := s.head()
			return []Attempt{
				refused(code, a),
				// Claimed by then, and given back.
				refused(code, a).once(func() { store.checks.Store(true) }),
				accepted(a).once(func() { store.admits.Store(true) }),
				refused(core.CodeReplayed, a),
			}
		}},
		{Name: "the task store is full", Code: code, stage: func(s *stage) []Attempt {
			return tasksFull(s, dag.MemoryConfig{MaxTasks: 1})
		}},
		{Name: "the task store is full for the trust domain", Code: code, stage: func(s *stage) []Attempt {
			return tasksFull(s, dag.MemoryConfig{MaxPerDomain: 1})
		}},
		{Name: "the task store is full of unsigned tokens", Code: code, stage: func(s *stage) []Attempt {
			s.policy.MinLevel = core.L1
			s.options = append(s.options, core.WithTaskStore(newTasks(s.tb, dag.MemoryConfig{MaxUnsigned: 1})))
			a, b, signed := s.token().Unsigned(s.tb), s.token().Unsigned(s.tb), s.head()
			return []Attempt{accepted(a), refused(code, b), refused(code, b, signed), accepted(signed)}
		}},
	}
}

// replayFull fills a store with a claim that soon ends.
func replayFull(s *stage, c replay.Config) []Attempt {
	ahead := &shift{}
	c.Now = ahead.now
	s.options = append(s.options, core.WithReplayStore(newReplay(s.tb, c)))
	soon := s.sign(s.token().With("exp", time.Now().Add(time.Minute).Unix()))
	a := s.head()
	return []Attempt{
		accepted(soon), refused(core.CodeUnavailable, a), refused(core.CodeReplayed, soon),
		accepted(a).once(func() { ahead.set(2 * time.Minute) }),
	}
}

// tasksFull fills a store with a task that is soon dropped.
func tasksFull(s *stage, c dag.MemoryConfig) []Attempt {
	ahead := &shift{}
	c.Now, c.Quiet = ahead.now, time.Minute
	s.options = append(s.options, core.WithTaskStore(newTasks(s.tb, c)))
	a, b := s.head(), s.head()
	return []Attempt{
		accepted(a), refused(core.CodeUnavailable, b),
		accepted(b).once(func() { ahead.set(2 * time.Minute) }),
	}
}

// contentMessages come with content that the sender's record does not name.
func contentMessages() []Message {
	const code = core.CodeBody
	content := func(name string, attempts func(s *stage) []Attempt) Message {
		return Message{Name: name, Code: code, Content: true, stage: attempts}
	}
	return []Message{
		content("other content than was recorded", differs),
		content("other content than was recorded, where a record is required", func(s *stage) []Attempt {
			s.policy.Body = core.BodyRequire
			return differs(s)
		}),
		content("no content recorded, where it is required", func(s *stage) []Attempt {
			s.policy.Body = core.BodyRequire
			return []Attempt{refused(code, s.head()), refused(code, s.head()).other(), accepted(s.over(s.contents.Sent))}
		}),
		content("two heads, where a record is required", func(s *stage) []Attempt {
			s.policy.Body = core.BodyRequire
			a, b := s.over(s.contents.Sent), s.over(s.contents.Sent)
			return []Attempt{refused(code, a, b), accepted(a), accepted(b)}
		}),
	}
}

// differs sends content, and then that which is recorded.
func differs(s *stage) []Attempt {
	a := s.over(s.contents.Other)
	return []Attempt{refused(core.CodeBody, a), accepted(a).other()}
}
