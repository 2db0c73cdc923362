// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package dag

import "github.com/go-ect/ect/core/id"

// ref is a task id as a judgement saw it.
type ref struct {
	hash uint32
	task uint32 // 0 if nothing was known of the id
	// only is the token that bore the id, of that version: 0 if none did, several if
	// several did.
	only    uint32
	version uint64
	// meant is the token of the store that was meant, 0 if there was none.
	meant uint32
}

// refer looks a task id up.
func (m *Memory) refer(u id.UUID) ref {
	r := ref{hash: m.tasks.table.hash(u)}
	if r.task = m.tasks.table.find(u, r.hash); r.task == 0 {
		return r
	}
	if r.only = m.tasks.task(r.task).only; r.only != 0 && r.only != several {
		r.version = m.tasks.records.at(r.only).version
	}
	return r
}

// now returns the task of a task id, 0 if nothing is known of it, and whether the tokens
// that bear it are for certain those that did, with all that was known of them. A place
// may have another holder by now, but an equal version is the same one.
func (m *Memory) now(r *ref, u id.UUID) (task uint32, same bool) {
	if r.only != 0 && r.only != several &&
		m.tasks.task(r.task).only == r.only && m.tasks.records.at(r.only).version == r.version {
		return r.task, true
	}
	task = m.tasks.table.find(u, r.hash)
	return task, r.only == 0 && (task == 0 || m.tasks.task(task).only == 0)
}

// open returns the task of a task id, a new one if nothing is known of it.
func (m *Memory) open(r *ref, u id.UUID) uint32 {
	task, _ := m.now(r, u)
	if task == 0 {
		task = m.tasks.table.add(u, r.hash)
	}
	return task
}

// of tells whether j judged a proposal to a store.
func (j *judge) of(m *Memory, p *Proposal) bool {
	return j.m == m && len(j.batch) == len(p.Batch) && (len(j.batch) == 0 || &j.batch[0] == &p.Batch[0])
}

// stands tells whether judging again would come to the same. A judgement looks at the
// tokens that bear the entries' own task ids and those that their edges name; whether
// something names the id of an entry that is not known, for which there was nothing to
// walk then; and, if it walked, at the ancestors, which nobody keeps track of. It does
// not look at times, nor at what only makes room.
func (j *judge) stands() bool {
	if j.walked {
		return false
	}
	for i := range j.out {
		v := &j.out[i]
		task, same := j.m.now(&v.self, v.Key.Task)
		if !same || v.self.meant == 0 && j.m.tasks.named(task) {
			return false
		}
		for n := range v.refs {
			if _, same := j.m.now(&v.refs[n], v.Preds[n].Task); !same {
				return false
			}
		}
	}
	return true
}
