/* Maximum-likelihood fit of a disc under white noise: Gauss-Newton over the pixels of its edge. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernel.h"

enum { PARAMS = 8, TERMS = 44, BLOCK = 64, LANES = 8, MAX_ROUNDS = 12, COARSE_ROUNDS = 6 };

/* The edge's pixels as columns: place relative to a fixed origin, and value. */
typedef struct {
    float *dx, *dy, *value;
    int count, room;
    double x, y, r, m; /* for which centre, radius and half-width they were collected */
    int step;
} ring_t;

static double margin(const disc_t *disc)
{
    double m = disc->w + (disc->r < 14 ? 2.0 : 3.5);
    return fmin(m, 0.9 * disc->r);
}

static int collect(plane_t plane, const disc_t *disc, int step, ring_t *ring)
{
    double m = margin(disc), outer = disc->r + m, inner = fmax(0, disc->r - m);
    int top = (int)fmax(0, ceil(disc->y - outer));
    int bottom = (int)fmin(plane.height - 1, floor(disc->y + outer));
    double rows = fmax(0, bottom - top + 1);
    int room = (int)(rows / step + 2) * (int)(4 * m + 2 * sqrt(2 * outer * 2 * m) + 8) + BLOCK;
    if (room > ring->room) {
        float *grown = realloc(ring->dx, 3 * (size_t)room * sizeof *grown);
        if (!grown)
            return 0;
        ring->dx = grown, ring->room = room;
        ring->dy = grown + room, ring->value = grown + 2 * (size_t)room;
    }
    int n = 0;
    for (int y = top; y <= bottom; y += step) {
        double dy = y - disc->y, reach = outer * outer - dy * dy;
        if (reach <= 0)
            continue;
        reach = sqrt(reach);
        double hole = inner * inner - dy * dy;
        hole = hole > 0 ? sqrt(hole) : -1;
        int left = (int)fmax(0, ceil(disc->x - reach));
        int right = (int)fmin(plane.width - 1, floor(disc->x + reach));
        /* Columns from hole_left to hole_right lie inside the ring's inner circle. */
        int hole_left = hole < 0 ? right + 1 : (int)ceil(disc->x - hole);
        int hole_right = hole < 0 ? right : (int)floor(disc->x + hole);
        const uint8_t *line = plane.data + (ptrdiff_t)y * plane.stride;
        for (int x = left; x <= right; x++) {
            if (x >= hole_left && x <= hole_right) {
                x = hole_right;
                continue;
            }
            if (n == ring->room - BLOCK)
                break;
            ring->dx[n] = (float)(x - disc->x), ring->dy[n] = (float)dy;
            ring->value[n++] = line[x];
        }
    }
    /* The last block is read whole; what is no pixel has the weight 0, but must be finite. */
    for (int i = n; i < n + BLOCK; i++)
        ring->dx[i] = (float)disc->r, ring->dy[i] = ring->value[i] = 0;
    ring->count = n, ring->step = step;
    ring->x = disc->x, ring->y = disc->y, ring->r = disc->r, ring->m = m;
    return n >= 3 * PARAMS;
}

/* Inside and outside as means of what lies clear of the edge. */
static int first_levels(const ring_t *ring, disc_t *disc)
{
    double in = 0, out = 0;
    int n_in = 0, n_out = 0;
    for (int i = 0; i < ring->count; i++) {
        double d = sqrt((double)ring->dx[i] * ring->dx[i] + (double)ring->dy[i] * ring->dy[i]);
        if (d < disc->r - 0.7 * disc->w)
            in += ring->value[i], n_in++;
        else if (d > disc->r + 0.7 * disc->w)
            out += ring->value[i], n_out++;
    }
    if (!n_in || !n_out)
        return 0;
    disc->f = in / n_in, disc->b = out / n_out, disc->gx = disc->gy = 0;
    return 1;
}

/* A block of pixels seen from the centre, and the edge's profile h and slope there. */
typedef struct {
    float nx[BLOCK], ny[BLOCK], d[BLOCK], h[BLOCK], slope[BLOCK], t[BLOCK];
} block_t;

/* Area of a half-plane in a pixel; the circle bends away by 1/(24 d). */
static inline void exact_edge(block_t *at, float r)
{
    for (int i = 0; i < BLOCK; i++) {
        float ax = fabsf(at->nx[i]), ay = fabsf(at->ny[i]);
        float p = fmaxf(ax, ay), q = fminf(ax, ay) + 1e-4f;
        float u = r - at->d[i] - 1 / (24 * at->d[i]), au = fabsf(u);
        float z = fmaxf((p + q) * 0.5f - au, 0), iq = 1 / (p * q), ip = 1 / p;
        float side = copysignf(0.5f - z * z * 0.5f * iq, u);
        at->h[i] = 0.5f + (au < (p - q) * 0.5f ? u * ip : side);
        at->slope[i] = au < (p - q) * 0.5f ? ip : z * iq;
        at->t[i] = 0;
    }
}

/* h = 1/2 + 3t/4 - t^3/4 over 2 w. */
static inline void smooth_edge(block_t *at, float r, float iw)
{
    for (int i = 0; i < BLOCK; i++) {
        float t = fminf(fmaxf((r - at->d[i]) * iw, -1), 1);
        at->h[i] = 0.5f + t * (0.75f - 0.25f * t * t);
        at->slope[i] = 0.75f * (1 - t * t) * iw;
        at->t[i] = t;
    }
}

/* Normal equations of one round: the upper triangle, then the right-hand side.
 *
 * robust: 0, or 3 deviations, beyond which a pixel's weight falls. Returns the weighted mean square
 * of the residuals. */
WIDE
static double accumulate(const ring_t *ring, const disc_t *disc, int is_exact, double robust,
                         double sums[TERMS])
{
    float x0 = (float)(disc->x - ring->x), y0 = (float)(disc->y - ring->y), r = (float)disc->r;
    float iw = (float)(1 / disc->w), ir = (float)(1 / disc->r), b0 = (float)disc->b;
    float gx = (float)disc->gx, gy = (float)disc->gy, f = (float)disc->f;
    float irobust = robust > 0 ? (float)(1 / robust) : 0;
    float column[PARAMS + 1][BLOCK], weighted[PARAMS][BLOCK], lanes[TERMS + 2][LANES] = {{0}};
    block_t at;
    for (int begin = 0; begin < ring->count; begin += BLOCK) {
        const float *dx = ring->dx + begin, *dy = ring->dy + begin, *value = ring->value + begin;
        float weight[BLOCK];
        int n = ring->count - begin;
        for (int i = 0; i < BLOCK; i++) {
            float x = dx[i] - x0, y = dy[i] - y0, d = sqrtf(x * x + y * y) + 1e-6f;
            at.d[i] = d, at.nx[i] = x / d, at.ny[i] = y / d;
        }
        if (is_exact)
            exact_edge(&at, r);
        else
            smooth_edge(&at, r, iw);
        for (int i = 0; i < BLOCK; i++) {
            float X = at.nx[i] * at.d[i] * ir, Y = at.ny[i] * at.d[i] * ir, outside = 1 - at.h[i];
            float b = b0 + gx * X + gy * Y, a = f - b, edge = a * at.slope[i];
            float rest = value[i] - (b + a * at.h[i]), scaled = rest * irobust;
            weight[i] = (i < n ? 1.0f : 0.0f) / (1 + scaled * scaled);
            column[0][i] = edge * at.nx[i];
            column[1][i] = edge * at.ny[i];
            column[2][i] = edge;
            column[3][i] = -at.t[i] * edge;
            column[4][i] = at.h[i];
            column[5][i] = outside;
            column[6][i] = outside * X;
            column[7][i] = outside * Y;
            column[8][i] = rest;
        }
        for (int p = 0; p < PARAMS; p++)
            for (int i = 0; i < BLOCK; i++)
                weighted[p][i] = weight[i] * column[p][i];
        int term = 0;
        for (int p = 0; p < PARAMS; p++)
            for (int q = p; q <= PARAMS; q++, term++)
                for (int i = 0; i < BLOCK; i += LANES)
                    for (int lane = 0; lane < LANES; lane++)
                        lanes[term][lane] += weighted[p][i + lane] * column[q][i + lane];
        for (int i = 0; i < BLOCK; i += LANES)
            for (int lane = 0; lane < LANES; lane++) {
                float rest = column[8][i + lane];
                lanes[TERMS][lane] += weight[i + lane] * rest * rest;
                lanes[TERMS + 1][lane] += weight[i + lane];
            }
    }
    double totals[TERMS + 2] = {0};
    for (int term = 0; term < TERMS + 2; term++)
        for (int lane = 0; lane < LANES; lane++)
            totals[term] += lanes[term][lane];
    memcpy(sums, totals, TERMS * sizeof *sums);
    return totals[TERMS] / fmax(totals[TERMS + 1], 1);
}

/* Cholesky on the damped normal equations; 0 where they are not positive definite. */
static int solve(const double sums[TERMS], int is_exact, double step[PARAMS])
{
    double a[PARAMS][PARAMS], z[PARAMS];
    int term = 0;
    for (int p = 0; p < PARAMS; p++) {
        for (int q = p; q < PARAMS; q++)
            a[q][p] = sums[term++];
        z[p] = sums[term++];
        a[p][p] *= p == 3 ? 1.05 : 1 + 1e-6;
    }
    if (is_exact)
        a[3][3] = 1;
    for (int p = 0; p < PARAMS; p++) {
        for (int q = 0; q <= p; q++) {
            double rest = a[p][q];
            for (int k = 0; k < q; k++)
                rest -= a[p][k] * a[q][k];
            if (p != q) {
                a[p][q] = rest / a[q][q];
            } else {
                if (!(rest > 1e-12))
                    return 0;
                a[p][p] = sqrt(rest);
            }
        }
        for (int k = 0; k < p; k++)
            z[p] -= a[p][k] * z[k];
        z[p] /= a[p][p];
    }
    for (int p = PARAMS - 1; p >= 0; p--) {
        for (int k = p + 1; k < PARAMS; k++)
            z[p] -= a[k][p] * z[k];
        z[p] /= a[p][p];
        step[p] = z[p];
    }
    return 1;
}

static double clamp(double value, double least, double most)
{
    return value < least ? least : value > most ? most : value;
}

static int row_step(double r) { return r < 16 ? 1 : r > 60 ? 4 : 2; }

/* Fit from the start value in `disc`; rounds is 0 where that leads nowhere. */
fit_t fit_disc(plane_t plane, disc_t *disc, double least_w, int may_be_exact)
{
    ring_t ring = {0};
    fit_t result = {0, 0};
    double x_first = disc->x, y_first = disc->y, r_first = disc->r;
    int is_fine = row_step(disc->r) == 1, is_exact = 0;
    if (!(disc->r >= 2 && disc->r < 1e4 && disc->w > 0 && disc->w < 1e3))
        return result;
    if (!collect(plane, disc, row_step(disc->r), &ring) || !first_levels(&ring, disc))
        goto end;
    for (int round = 0; round < MAX_ROUNDS; round++) {
        double sums[TERMS], step[PARAMS];
        double robust = round >= 2 ? 3 * fmax(result.sd, 0.1) : 0;
        result.sd = sqrt(accumulate(&ring, disc, is_exact, robust, sums));
        if (!solve(sums, is_exact, step))
            goto lost;
        double most = round < 2 ? 3 : 1.5;
        double dx = clamp(step[0], -most, most), dy = clamp(step[1], -most, most);
        double dr = clamp(step[2], -most, most), w = disc->w;
        disc->x += dx, disc->y += dy, disc->r += dr;
        if (disc->r < 2 || fabs(disc->x - x_first) + fabs(disc->y - y_first) > r_first)
            goto lost;
        if (!is_exact)
            w = clamp(disc->w + step[3], 0.6 * disc->w, 1.5 * disc->w);
        w = clamp(w, least_w, fmax(least_w, fmin(10, disc->r / 2)));
        int is_settled = fabs(w - disc->w) < 0.1 * disc->w;
        disc->w = w;
        disc->f += step[4], disc->b += step[5], disc->gx += step[6], disc->gy += step[7];
        double moved = hypot(dx, dy), grown = fabs(dr);
        int was_fine = is_fine, was_exact = is_exact;
        if ((moved < 0.15 && grown < 0.15 && is_settled) || round + 1 >= COARSE_ROUNDS)
            is_fine = 1;
        if (may_be_exact && is_fine && is_settled && disc->w <= 0.9)
            is_exact = 1;
        result.rounds = round + 1;
        if (moved < 0.004 && grown < 0.008 && was_fine && was_exact == is_exact)
            break;
        double shift = hypot(disc->x - ring.x, disc->y - ring.y) + fabs(disc->r - ring.r);
        if (shift > 0.6 || fabs(margin(disc) - ring.m) > 0.3 || was_fine != is_fine) {
            if (!collect(plane, disc, is_fine ? 1 : row_step(disc->r), &ring))
                goto lost;
        }
    }
    goto end;
lost:
    result.rounds = 0;
end:
    free(ring.dx);
    return result;
}
