// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package dag

import "github.com/go-ect/ect/core/id"

// acyclic walks the ancestors of entry i if it could come after itself: something known
// names it, or it is known itself and its edges changed.
func (j *judge) acyclic(i int) error {
	v := &j.out[i]
	if known := v.self.meant; known != 0 && j.m.token(known).complete() || known == 0 && !j.m.tasks.named(v.self.task) {
		return nil
	}
	j.walked = true
	seen := map[id.Digest]struct{}{}
	queue := []token{v.token()}
	for len(queue) > 0 {
		at := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if j.edged += len(at.found); j.edged > edgesPerWalk*j.rules.MaxWalk {
			return j.refuse(i, WalkLimit)
		}
		for n, d := range at.found {
			p := j.ancestor(at, at.Preds[n], d)
			if p.Node != nil {
				d = p.Digest
			}
			if _, again := seen[d]; again || d == (id.Digest{}) {
				continue
			}
			seen[d] = struct{}{}
			if j.ancestors++; j.ancestors > j.rules.MaxWalk {
				return j.refuse(i, WalkLimit)
			}
			if p.Node == nil {
				continue // dropped with its whole workflow
			}
			if p.Key == v.Key || p.unresolved(&v.Node) {
				return j.refuse(i, Cycle)
			}
			queue = append(queue, p)
		}
	}
	return nil
}

// ancestor returns the token that an edge led to, or if that is none, the one token that
// it could mean by now.
func (j *judge) ancestor(from token, e Edge, d id.Digest) (found token) {
	place := j.m.tasks.table.lookup(e.Task)
	if d != (id.Digest{}) {
		return j.token(d, j.m.tasks.whole(place, d))
	}
	known, second := j.m.tasks.candidates(place, from.Node, e)
	several := second != 0
	if known != 0 {
		found = j.m.token(known)
	}
	for o := range j.out {
		if v := &j.out[o]; e.Means(from.Node, &v.Node) {
			several = several || found.Node != nil && found.Digest != v.Digest
			found = v.token()
		}
	}
	if several {
		return token{}
	}
	return found
}
