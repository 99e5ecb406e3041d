package irsatest

import (
	"sync"
	"time"
)

// kubeletSyncPeriod is approximately how often a kubelet syncs a pod
// (pkg/kubelet/kubelet.go, syncFrequency).
const kubeletSyncPeriod = time.Minute

// kubelets rotate the tokens of pods with AutoRotate, with a goroutine for each pod
// that ends when the Cluster is closed.
type kubelets struct {
	done    chan struct{}
	stopped sync.Once
	running sync.WaitGroup
}

// start starts the automatic rotation of the pod's token.
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
			if !time.Now().Before(p.refreshAt()) { // Pod.Rotate may have been called
				if err := p.rotate(); err != nil {
					p.cluster.report(err)
					return
				}
			}
			timer.Reset(p.untilNextCheck())
		}
	})
}

// untilNextCheck returns the time until the kubelet next checks the pod's token.
func (p *Pod) untilNextCheck() time.Duration {
	until := time.Until(p.refreshAt())
	if until <= 0 { // overdue, such as for a frozen pod
		return kubeletSyncPeriod
	}
	return min(until, kubeletSyncPeriod)
}

// refreshAt returns the time at which the kubelet refreshes the pod's current token
// (pkg/kubelet/token/token_manager.go, requiresRefresh). For an unreadable token that is
// a time in the past.
func (p *Pod) refreshAt() time.Time {
	token := parseUnverified(p.Token())
	issued := token.time("iat")
	return issued.Add(min(token.time("exp").Sub(issued)*8/10, 24*time.Hour))
}

// stop ends the rotations and waits until they have ended.
func (k *kubelets) stop() {
	k.stopped.Do(func() { close(k.done) })
	k.running.Wait()
}
