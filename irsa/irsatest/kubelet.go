package irsatest

import (
	"sync"
	"time"
)

// kubeletSyncPeriod is how often a kubelet looks after a pod, about
// (pkg/kubelet/kubelet.go, syncFrequency).
const kubeletSyncPeriod = time.Minute

// kubelets rotate the tokens of the pods that ask for it: a goroutine for each pod,
// which ends when the Cluster is closed.
type kubelets struct {
	done    chan struct{}
	stopped sync.Once
	running sync.WaitGroup
}

// start rotates the pod's token whenever it is time.
func (k *kubelets) start(p *Pod) {
	k.running.Go(func() {
		timer := time.NewTimer(p.untilNextCheck())
		defer timer.Stop()
		for {
			select {
			case <-timer.C:
			case <-k.done:
				return
			}
			if !time.Now().Before(p.refreshAt()) { // it may have been rotated by hand
				if err := p.rotate(); err != nil {
					p.cluster.report(err)
					return
				}
			}
			timer.Reset(p.untilNextCheck())
		}
	})
}

// untilNextCheck is when the kubelet looks after the pod next.
func (p *Pod) untilNextCheck() time.Duration {
	until := time.Until(p.refreshAt())
	if until <= 0 { // it could not renew the token
		return kubeletSyncPeriod
	}
	return min(until, kubeletSyncPeriod)
}

// refreshAt is when the kubelet renews the pod's present token
// (pkg/kubelet/token/token_manager.go, requiresRefresh); at once, if it is broken.
func (p *Pod) refreshAt() time.Time {
	token := parseUnverified(p.Token())
	issued := token.time("iat")
	return issued.Add(min(token.time("exp").Sub(issued)*8/10, 24*time.Hour))
}

// stop ends the rotations and waits for them.
func (k *kubelets) stop() {
	k.stopped.Do(func() { close(k.done) })
	k.running.Wait()
}
